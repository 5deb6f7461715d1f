//! `sources:` entries: one source for each table, with what it takes over from the entry above it.

use serde_json::{Value as Json, json};

use crate::diagnostic::{Diagnostic, Outcome};
use crate::manifest::{JsonMap, Source};
use crate::name::{Relation, ResourceType, UniqueId};
use crate::parse::{LiteralCall, ParsedProperty, location_at};
use crate::project::Section;
use crate::project::yaml::Yaml;

use super::Resolver;
use super::columns::{self, object, objects, text, texts};
use super::config::{self, ConfigSources};
use super::generic_tests::{Given, Target, named, quoted_name, test_list};
use super::names;

impl Resolver<'_> {
    /// Adds every table of every source, and their tests; gives back the entries of other kinds.
    pub(super) fn add_sources(&mut self, properties: Vec<ParsedProperty>) -> Vec<ParsedProperty> {
        let (sources, others): (Vec<_>, Vec<_>) = properties.into_iter().partition(|entry| entry.section == Section::Sources);
        let mut overrides = Overrides::new();
        for entry in &sources {
            let Some(package) = text(entry.properties.get("overrides")) else { continue };
            let place = location_at(&entry.yaml, &["overrides"]);
            let message = format!("dbt deprecates `overrides`, as on the source `{}`", entry.name);
            let help = "disable the package's source with `enabled: false` in dbt_project.yml, and declare one of your own";
            self.diagnostics.push(Diagnostic::warning("source-overrides", message).at(place.clone()).help(help));
            if overrides.insert((package.clone(), entry.name.clone()), entry).is_some() {
                let message = format!("the source `{}` of the package `{package}` is overridden twice", entry.name);
                self.diagnostics.push(Diagnostic::error("duplicate-patch", message).at(place));
            }
        }
        let is_own = |entry: &&ParsedProperty| !entry.properties.contains_key("overrides");
        for entry in sources.iter().filter(is_own) {
            let patch = overrides.remove(&(entry.file.package.name.clone(), entry.name.clone()));
            let merged = patch.map(|patch| overridden(entry, patch));
            let entry = merged.as_ref().unwrap_or(entry);
            for (index, table) in objects(entry.properties.get("tables")).into_iter().enumerate() {
                let outcome = self.add_source(entry, index, table);
                crate::parse::keep(outcome, &mut self.diagnostics);
            }
        }
        for ((package, name), entry) in overrides {
            let message = format!("`{name}` overrides a source of the package `{package}`, which has none of that name");
            let place = location_at(&entry.yaml, &["overrides"]);
            self.diagnostics.push(Diagnostic::warning("patch-without-node", message).at(place));
        }
        others
    }

    fn add_source(&mut self, entry: &ParsedProperty, index: usize, table: &JsonMap) -> Outcome<()> {
        let location = location_at(&entry.yaml, &["tables", &index.to_string()]);
        let Some(name) = text(table.get("name")) else {
            let message = format!("a table of the source `{}` has no name", entry.name);
            return Diagnostic::error("property-without-name", message).at(location).help("add `name:`").fail();
        };
        let source = self.source_of(entry, table, name, location)?;
        if let Some(other) = self.manifest.sources.get(&source.unique_id) {
            let message = format!("two sources are named `{}.{}`", source.source_name, source.name);
            return Diagnostic::error("duplicate-resource", message)
                .at(source.location)
                .help(format!("the other one is at {}", other.location))
                .fail();
        }
        let place = entry.yaml.get("tables").and_then(|tables| tables.as_sequence()?.get(index));
        self.add_source_tests(entry, (table, place), &source)?;
        let id = source.unique_id.clone();
        if source.config.get("enabled").and_then(Json::as_bool).unwrap_or(true) {
            self.manifest.sources.insert(id, source);
        } else {
            self.manifest.disabled_sources.entry(id).or_default().push(source);
        }
        Ok(())
    }

    fn source_of(
        &self,
        entry: &ParsedProperty,
        table: &JsonMap,
        name: String,
        location: crate::source::Location,
    ) -> Outcome<Source> {
        let (above, package) = (&entry.properties, &entry.file.package.name);
        let fqn = fqn(entry, &name);
        let written = own_config(above, table, &location)?;
        let no_calls = JsonMap::new();
        let sources = ConfigSources { kind: ResourceType::Source, package, fqn: &fqn, patch: Some(&written), calls: &no_calls };
        let config = config::build(self.project, &sources);
        let unrendered_config = config::build_unrendered(self.project, &sources);
        let mut quoting = object(Some(&json!({"database": null, "schema": null, "identifier": null, "column": null})));
        for level in [above, table] {
            quoting.extend(object(level.get("quoting")).into_iter().filter(|(_, value)| !value.is_null()));
        }
        let database = text(above.get("database")).unwrap_or_else(|| self.project.target.database.clone());
        let schema = text(above.get("schema")).unwrap_or_else(|| entry.name.clone());
        let identifier = text(table.get("identifier")).unwrap_or_else(|| name.clone());
        let mut policy = self.project.packages[0].quoting.clone();
        policy.extend(quoting.clone().into_iter().filter(|(_, value)| !value.is_null()));
        let relation = Relation::new(Some(&database), Some(&schema), &identifier);
        let mut source_meta = object(above.get("meta"));
        source_meta.extend(object(above.get("config").and_then(|config| config.get("meta"))));
        Ok(Source {
            unique_id: UniqueId::from(format!("source.{package}.{}.{name}", entry.name)),
            package_name: package.clone(),
            path: entry.file.original.to_string(),
            original_file_path: entry.file.original.to_string(),
            fqn,
            source_name: entry.name.clone(),
            name,
            identifier,
            database: Some(database),
            schema,
            relation_name: names::render(&relation, &policy),
            description: text(table.get("description")).unwrap_or_default(),
            source_description: text(above.get("description")).unwrap_or_default(),
            doc_blocks: Vec::new(),
            loader: text(above.get("loader")).unwrap_or_default(),
            loaded_at_field: text(config.get("loaded_at_field")),
            loaded_at_query: text(config.get("loaded_at_query")),
            freshness: config.get("freshness").filter(|freshness| !freshness.is_null()).cloned(),
            external: table.get("external").and_then(Json::as_object).map(external),
            ingest: ingest(above, table, &config),
            quoting: quoting.into(),
            columns: columns::columns(objects(table.get("columns")), &location)?,
            meta: object(config.get("meta")).into(),
            source_meta: source_meta.into(),
            tags: texts(config.get("tags")),
            config: config.into(),
            unrendered_config: unrendered_config.into(),
            patch_path: None,
            unrendered_database: text(entry.written.get("database")),
            unrendered_schema: text(entry.written.get("schema")),
            created_at: self.now,
            location,
        })
    }

    /// `place` is the table as the file has it.
    fn add_source_tests(
        &mut self,
        entry: &ParsedProperty,
        (table, place): (&JsonMap, Option<&Yaml>),
        source: &Source,
    ) -> Outcome<()> {
        let target = Target {
            package: entry.file.package.clone(),
            name: format!("{}_{}", source.source_name, source.name),
            call: LiteralCall::Source([source.source_name.clone(), source.name.clone()]),
            original_file_path: source.original_file_path.clone(),
            file_key_name: format!("sources.{}", source.source_name),
            attached: None,
            group: None,
        };
        let mut tags = texts(entry.properties.get("tags"));
        tags.extend(texts(table.get("tags")));
        for test in test_list(table, &source.name, &source.location)? {
            self.add_test(&target, Given { test: &test, column: None, place, tags: &tags }, entry);
        }
        let quoted = source.quoting.get("column").and_then(Json::as_bool).unwrap_or(false);
        for column in objects(table.get("columns")) {
            let mut tags = tags.clone();
            tags.extend(texts(column.get("tags")));
            tags.extend(texts(column.get("config").and_then(|config| config.get("tags"))));
            let place = named(place.and_then(|table| table.get("columns")), column.get("name")).or(place);
            for test in test_list(column, &source.name, &source.location)? {
                let name = quoted_name(column, quoted);
                self.add_test(&target, Given { test: &test, column: name.as_deref(), place, tags: &tags }, entry);
            }
        }
        Ok(())
    }
}

fn fqn(entry: &ParsedProperty, table: &str) -> Vec<String> {
    let folders = entry.file.relative.rsplit_once('/').map_or("", |(folders, _)| folders);
    std::iter::once(entry.file.package.name.as_str())
        .chain(folders.split('/').filter(|folder| !folder.is_empty()))
        .chain([entry.name.as_str(), table])
        .map(String::from)
        .collect()
}

/// Sources of packages that a project changes, by package and name.
type Overrides<'a> = std::collections::BTreeMap<(String, String), &'a ParsedProperty>;

/// A source's entry with what another one says over it, key by key, and table by table. dbt keeps database and schema as the
/// package has written them.
fn overridden(entry: &ParsedProperty, patch: &ParsedProperty) -> ParsedProperty {
    let mut merged = entry.clone();
    let place = (entry.written.get("database").cloned(), entry.written.get("schema").cloned());
    for (own, given) in [(&mut merged.properties, &patch.properties), (&mut merged.written, &patch.written)] {
        let patched = objects(given.get("tables"));
        if let Some(Json::Array(tables)) = own.get_mut("tables") {
            for table in tables.iter_mut().filter_map(Json::as_object_mut) {
                let name = table.get("name").cloned();
                let keys = patched.iter().filter(|given| given.get("name") == name.as_ref()).flat_map(|given| given.iter());
                table.extend(keys.map(|(key, value)| (key.clone(), value.clone())));
            }
        }
        let keys = given.iter().filter(|(key, _)| !matches!(key.as_str(), "name" | "overrides" | "tables"));
        own.extend(keys.map(|(key, value)| (key.clone(), value.clone())));
    }
    for (key, value) in [("database", place.0), ("schema", place.1)] {
        match value {
            Some(value) => _ = merged.written.insert(key.to_string(), value),
            None => _ = merged.written.shift_remove(key),
        }
    }
    merged
}

/// The table's config over the entry's, with the keys that may also stand outside `config`.
fn own_config(above: &JsonMap, table: &JsonMap, location: &crate::source::Location) -> Outcome<JsonMap> {
    let (upper, lower) = (object(above.get("config")), object(table.get("config")));
    let mut config = upper.clone();
    config.extend(lower.clone());
    let levels = [above.get("freshness"), upper.get("freshness"), table.get("freshness"), lower.get("freshness")];
    levels.iter().flatten().try_for_each(|given| check_periods(given, location))?;
    match freshness(levels) {
        Freshness::Unset => {
            config.shift_remove("freshness");
        }
        Freshness::Off => {
            config.insert("freshness".to_string(), Json::Null);
        }
        Freshness::Set(value) => {
            config.insert("freshness".to_string(), value);
        }
    }
    let (field, query) = loaded_at(above, &upper, table, &lower, location)?;
    config.insert("loaded_at_field".to_string(), field);
    config.insert("loaded_at_query".to_string(), query);
    let mut meta = JsonMap::new();
    let mut tags: Vec<String> = Vec::new();
    for level in [above, &upper, table, &lower] {
        meta.extend(object(level.get("meta")));
        tags.extend(texts(level.get("tags")));
    }
    tags.sort();
    tags.dedup();
    config.insert("meta".to_string(), Json::Object(meta));
    config.insert("tags".to_string(), Json::from(tags));
    Ok(config)
}

/// Only these periods have a length.
fn check_periods(freshness: &Json, location: &crate::source::Location) -> Outcome<()> {
    const PERIODS: [&str; 3] = ["minute", "hour", "day"];
    for key in ["warn_after", "error_after"] {
        let Some(period) = freshness.get(key).and_then(|time| time.get("period")).filter(|period| !period.is_null()) else {
            continue;
        };
        let given = period.as_str().map_or_else(|| period.to_string(), str::to_string);
        if !PERIODS.contains(&given.as_str()) {
            return Diagnostic::error("freshness-period", format!("`{key}` has an unknown `period`: `{given}`"))
                .at(location.clone())
                .help("expected `minute`, `hour` or `day`")
                .suggest(&given, PERIODS)
                .fail();
        }
    }
    Ok(())
}

/// Freshness of the four places that may set it, merged.
enum Freshness {
    /// Nowhere said: what `dbt_project.yml` says holds.
    Unset,
    /// `freshness: null`.
    Off,
    Set(Json),
}

fn freshness(levels: [Option<&Json>; 4]) -> Freshness {
    const EMPTY: Json = Json::Null;
    let complete = |given: &Json| {
        let time = |key: &str| match given.get(key) {
            Some(Json::Null) => Json::Null,
            time => json!({"count": time.and_then(|time| time.get("count")), "period": time.and_then(|time| time.get("period"))}),
        };
        json!({
            "warn_after": time("warn_after"), "error_after": time("error_after"),
            "filter": given.get("filter").unwrap_or(&EMPTY),
        })
    };
    let is_set = |value: &Json| {
        ["warn_after", "error_after"].iter().any(|key| !value[*key]["count"].is_null() && !value[*key]["period"].is_null())
    };
    let unset = complete(&json!({}));
    let mut levels = levels.into_iter().map(|level| match level {
        None => Some(unset.clone()),
        Some(Json::Null) => None,
        Some(given) => Some(complete(given)),
    });
    let mut current = levels.next().flatten();
    for update in levels {
        current = match (current, update) {
            (Some(base), Some(update)) => Some(merged_freshness(&base, &update)),
            (None, Some(update)) if is_set(&update) => Some(update),
            _ => None,
        };
    }
    match current {
        None => Freshness::Off,
        Some(value) if is_set(&value) => Freshness::Set(value),
        Some(_) => Freshness::Unset,
    }
}

fn merged_freshness(base: &Json, update: &Json) -> Json {
    let is_time = |time: &Json| !time["count"].is_null() && !time["period"].is_null();
    let time = |key: &str| {
        let (base, update) = (&base[key], &update[key]);
        match (is_time(base), is_time(update)) {
            (true, true) => {
                let mut merged = object(Some(base));
                merged.extend(object(Some(update)));
                Json::Object(merged)
            }
            _ if update.is_null() => Json::Null,
            (true, false) => base.clone(),
            _ => update.clone(),
        }
    };
    let filter = if update["filter"].is_null() { &base["filter"] } else { &update["filter"] };
    json!({"warn_after": time("warn_after"), "error_after": time("error_after"), "filter": filter})
}

/// `loaded_at_field` and `loaded_at_query`: the table's, else the entry's. A table that sets the field, even to null, takes
/// nothing over.
fn loaded_at(
    above: &JsonMap,
    upper: &JsonMap,
    table: &JsonMap,
    lower: &JsonMap,
    location: &crate::source::Location,
) -> Outcome<(Json, Json)> {
    let either = |outer: &JsonMap, config: &JsonMap, key: &str| {
        [outer.get(key), config.get(key)].into_iter().flatten().find(|value| !value.is_null()).cloned()
    };
    let present = table.contains_key("loaded_at_field") || lower.get("loaded_at_field").is_some_and(|field| !field.is_null());
    let table_query = either(table, lower, "loaded_at_query");
    let (upper_field, upper_query) = (either(above, upper, "loaded_at_field"), either(above, upper, "loaded_at_query"));
    if (present && table_query.is_some()) || (upper_field.is_some() && upper_query.is_some()) {
        return Diagnostic::error("source-loaded-at", "both `loaded_at_field` and `loaded_at_query` are set")
            .at(location.clone())
            .help("keep one of them")
            .fail();
    }
    let field = if present { either(table, lower, "loaded_at_field") } else { upper_field };
    let query = match table_query {
        Some(query) => Some(query),
        None if present => None,
        None => upper_query,
    };
    Ok((field.unwrap_or_default(), query.unwrap_or_default()))
}

/// `external:` with the fields dbt knows first.
fn external(given: &JsonMap) -> JsonMap {
    let known = ["location", "file_format", "row_format", "tbl_properties", "partitions"];
    let mut external: JsonMap = known.iter().map(|key| ((*key).to_string(), Json::Null)).collect();
    external.extend(given.clone());
    if let Some(Json::Array(partitions)) = external.get_mut("partitions") {
        for partition in partitions.iter_mut() {
            if let Json::Object(given) = partition {
                let mut complete = object(Some(&json!({"name": "", "description": "", "data_type": "", "meta": {}})));
                complete.extend(std::mem::take(given));
                *partition = Json::Object(complete);
            }
        }
    }
    external
}

/// `ingest:` of the table over that of its source; both may also stand in `meta`, where dbt has a place for keys it does not
/// know.
fn ingest(above: &JsonMap, table: &JsonMap, config: &JsonMap) -> Option<JsonMap> {
    let in_meta = config.get("meta").and_then(|meta| meta.get("ingest"));
    let own = table.get("ingest").or(in_meta)?.as_object()?;
    let mut ingest = object(above.get("ingest"));
    ingest.extend(own.clone());
    Some(ingest)
}
