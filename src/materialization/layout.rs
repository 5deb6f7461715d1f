//! How a table's files are laid out: `partition_by` and `cluster_by`, in the forms that adapters' projects write.

use serde_json::Value as Json;

use super::strings;
use crate::manifest::Node;
use crate::name::quote_identifier;

/// The columns that split a table into folders, those its files are sorted by, and what `insert_overwrite` replaces by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Layout {
    pub partition_by: Vec<String>,
    pub cluster_by: Vec<String>,
    /// SQL over the table's columns; equal values are one partition.
    pub overwrite_by: Vec<String>,
}

/// The layout a node's config asks for.
///
/// A list or a text names columns. BigQuery's `{field, data_type, granularity}` and `{field, range}` cut a column into stretches:
/// the table is then sorted by the column instead of split by each of its values.
pub(super) fn layout(node: &Node) -> Layout {
    let config = |keys: &[&str]| keys.iter().find_map(|key| node.config.get(*key).filter(|value| !value.is_null())).cloned();
    let mut cluster_by = columns_and_others(config(&["cluster_by", "liquid_clustered_by"]).as_ref()).0;
    match config(&["partition_by", "partitioned_by"]) {
        Some(Json::Object(map)) => match (map.get("field").and_then(Json::as_str), stretch(&map)) {
            (Some(field), Some(stretch)) => {
                cluster_by.insert(0, field.to_string());
                Layout { partition_by: Vec::new(), cluster_by, overwrite_by: vec![stretch] }
            }
            (Some(field), None) => {
                Layout { partition_by: vec![field.to_string()], cluster_by, overwrite_by: vec![quote_identifier(field)] }
            }
            (None, _) => Layout { cluster_by, ..Layout::default() },
        },
        value => {
            let (partition_by, computed) = columns_and_others(value.as_ref());
            let columns = partition_by.iter().map(|column| quote_identifier(column));
            let overwrite_by = columns.chain(computed).collect();
            Layout { partition_by, cluster_by, overwrite_by }
        }
    }
}

/// The SQL of the stretch a value lies in; none where every value is a partition of its own.
fn stretch(partition: &serde_json::Map<String, Json>) -> Option<String> {
    let field = quote_identifier(partition.get("field")?.as_str()?);
    if let Some(range) = partition.get("range").and_then(Json::as_object) {
        let number = |key: &str| range.get(key).and_then(Json::as_i64);
        let (start, interval) = (number("start")?, number("interval").filter(|interval| *interval > 0)?);
        return Some(format!("floor(({field} - ({start})) * 1.0 / {interval})"));
    }
    let data_type = partition.get("data_type").and_then(Json::as_str).unwrap_or("date").to_lowercase();
    let granularity = partition.get("granularity").and_then(Json::as_str).unwrap_or("day").to_lowercase();
    let by_value = !data_type.starts_with("timestamp") && data_type != "datetime" && granularity == "day";
    let known = ["hour", "day", "month", "year"].contains(&granularity.as_str());
    (!by_value && known).then(|| format!("date_trunc('{granularity}', {field})"))
}

/// Column names of `"a, b"` or `["a", "b"]` without quotes, and what is SQL rather than a column's name (`day(at)`).
fn columns_and_others(value: Option<&Json>) -> (Vec<String>, Vec<String>) {
    let is_sql = |text: &String| text.contains('(');
    let (computed, names): (Vec<String>, Vec<String>) = strings(value).into_iter().partition(is_sql);
    let names = names.iter().flat_map(|text| text.split(',')).map(|name| name.trim().trim_matches(['"', '`']).to_string());
    (names.filter(|name| !name.is_empty()).collect(), computed)
}
