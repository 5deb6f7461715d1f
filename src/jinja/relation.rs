//! Relations and columns as template values: `ref(…)`, `this`, `api.Relation`, `api.Column`.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{DynObject, Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};

use super::RefAnswer;
use super::arguments::Arguments;
use super::collection::record;
use super::context::{Native, Root};
use crate::name::{Relation, RelationType, quote_identifier};
use crate::rows::ColumnType;

/// A relation with what of it is shown.
#[derive(Clone, PartialEq)]
pub(super) struct RelationValue {
    pub relation: Relation,
    pub kind: Option<RelationType>,
    rendered: Option<String>,
    /// Database, schema, identifier.
    include: [bool; 3],
    quote: [bool; 3],
}

const PARTS: [&str; 3] = ["database", "schema", "identifier"];

/// The value of a `ref`, `source` or `this`.
pub(super) fn answer(answer: RefAnswer) -> Value {
    let RefAnswer { relation, relation_type, rendered } = answer;
    Value::from_object(RelationValue { relation, kind: relation_type, rendered, include: [true; 3], quote: [true; 3] })
}

/// A relation as the database knows it.
pub(super) fn value(relation: Relation, kind: Option<RelationType>) -> Value {
    answer(RefAnswer { relation, relation_type: kind, rendered: None })
}

/// A relation of unknown kind, as templates see it.
pub fn value_of_relation(relation: Relation) -> Value {
    value(relation, None)
}

/// Whether a value is a relation or a column: dbt's are mappings too.
pub(super) fn is_mapping(value: &Value) -> bool {
    from_value(value).is_some() || value.downcast_object_ref::<ColumnValue>().is_some()
}

/// The relation in a value; none for anything else.
pub(super) fn from_value(value: &Value) -> Option<&RelationValue> {
    value.downcast_object_ref::<RelationValue>()
}

impl RelationValue {
    fn part(&self, index: usize) -> Option<&str> {
        match index {
            0 => self.relation.database.as_deref(),
            1 => self.relation.schema.as_deref(),
            _ => Some(self.relation.identifier.as_str()).filter(|identifier| !identifier.is_empty()),
        }
    }

    fn part_value(&self, index: usize) -> Value {
        self.part(index).map_or(Value::from(()), Value::from)
    }

    fn text(&self) -> String {
        if let Some(rendered) = &self.rendered {
            return rendered.clone();
        }
        let shown = (0..3).filter(|index| self.include[*index]).filter_map(|index| {
            let part = self.part(index)?;
            Some(if self.quote[index] { quote_identifier(part) } else { part.to_string() })
        });
        shown.collect::<Vec<_>>().join(".")
    }

    fn is(&self, kind: RelationType) -> Value {
        Value::from(self.kind == Some(kind))
    }

    fn flags(&self, args: &Arguments<'_>, mut flags: [bool; 3]) -> [bool; 3] {
        for (index, name) in PARTS.iter().enumerate() {
            if let Some(value) = args.get(index, name) {
                flags[index] = value.is_true();
            }
        }
        flags
    }

    /// This relation with the parts that `args` name replaced.
    fn with_path(&self, args: &Arguments<'_>, first: usize) -> Result<Self, Error> {
        let mut changed = Self { rendered: None, ..self.clone() };
        if let Some(database) = args.optional_text(first, "database")? {
            changed.relation.database = Some(database);
        }
        if let Some(schema) = args.optional_text(first + 1, "schema")? {
            changed.relation.schema = Some(schema);
        }
        if let Some(identifier) = args.optional_text(first + 2, "identifier")? {
            changed.relation.identifier = identifier;
        }
        Ok(changed)
    }

    fn incorporate(&self, args: &Arguments<'_>) -> Result<Self, Error> {
        let mut changed = Self { rendered: None, ..self.clone() };
        if let Some(path) = args.get(usize::MAX, "path") {
            // A part that is none is left out of the name; one that is not mentioned stays.
            let part = |key| path.get_item(&Value::from(key)).ok().filter(|value| !value.is_undefined());
            let text = |value: Value| value.as_str().map(str::to_string);
            if let Some(database) = part("database") {
                changed.relation.database = text(database);
            }
            if let Some(schema) = part("schema") {
                changed.relation.schema = text(schema);
            }
            if let Some(identifier) = part("identifier") {
                changed.relation.identifier = text(identifier).unwrap_or_default();
            }
        }
        if let Some(kind) = args.get(usize::MAX, "type") {
            changed.kind = relation_type(kind);
        }
        Ok(changed)
    }

    /// `"database".INFORMATION_SCHEMA.view`: names of the standard's own, unquoted.
    fn information_schema(&self, args: &Arguments<'_>) -> Result<Self, Error> {
        let view = args.optional_text(0, "view_name")?.unwrap_or_default();
        Ok(Self {
            relation: Relation {
                database: self.relation.database.clone(),
                schema: Some("INFORMATION_SCHEMA".to_string()),
                identifier: view.clone(),
            },
            rendered: None,
            kind: None,
            include: [true, true, !view.is_empty()],
            quote: [self.quote[0], false, false],
        })
    }

    fn matches(&self, args: &Arguments<'_>) -> Result<Value, Error> {
        for (index, name) in PARTS.iter().enumerate() {
            if let Some(wanted) = args.optional_text(index, name)?
                && !self.part(index).is_some_and(|part| part.eq_ignore_ascii_case(&wanted))
            {
                return Ok(Value::from(false));
            }
        }
        Ok(Value::from(true))
    }

    fn policy(flags: [bool; 3]) -> Value {
        record([("database", Value::from(flags[0])), ("schema", Value::from(flags[1])), ("identifier", Value::from(flags[2]))])
    }
}

impl fmt::Debug for RelationValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl Object for RelationValue {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        Some(match key {
            "database" => self.part_value(0),
            "schema" => self.part_value(1),
            "identifier" | "name" | "table" => self.part_value(2),
            "type" => self.kind.map_or(Value::from(()), |kind| Value::from(kind.as_str())),
            "is_table" => self.is(RelationType::Table),
            "is_view" => self.is(RelationType::View),
            "is_cte" => Value::from(matches!(self.kind, Some(RelationType::Cte | RelationType::Ephemeral))),
            // Packages know a relation by this, as dbt's adapters serialize theirs.
            "metadata" => record([("type", Value::from("DataFusionRelation"))]),
            "is_materialized_view" => self.is(RelationType::MaterializedView),
            "Table" | "View" | "CTE" | "MaterializedView" | "External" | "Function" => Value::from(type_constant(key)),
            "is_pointer" | "is_dynamic_table" | "is_iceberg_format" | "is_function" => Value::from(false),
            "can_be_renamed" | "can_be_replaced" => {
                Value::from(matches!(self.kind, Some(RelationType::Table | RelationType::View)))
            }
            "path" => {
                record([("database", self.part_value(0)), ("schema", self.part_value(1)), ("identifier", self.part_value(2))])
            }
            "quote_policy" => Self::policy(self.quote),
            "include_policy" => Self::policy(self.include),
            "quote_character" => Value::from("\""),
            _ => return None,
        })
    }

    fn call_method(self: &Arc<Self>, _state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let args = Arguments::new(method, args);
        let changed = match method {
            "include" => Self { include: self.flags(&args, self.include), rendered: None, ..(**self).clone() },
            "quote" => Self { quote: self.flags(&args, self.quote), rendered: None, ..(**self).clone() },
            "without_identifier" => {
                Self { include: [self.include[0], self.include[1], false], rendered: None, ..(**self).clone() }
            }
            "replace_path" => self.with_path(&args, 0)?,
            "incorporate" => self.incorporate(&args)?,
            "render_limited" => return Ok(Value::from(self.text())),
            // The relation itself, whatever `--empty`, `--sample` or a batch make of it; an ephemeral model has no other text.
            "render" if self.kind != Some(RelationType::Ephemeral) => {
                return Ok(Value::from(Self { rendered: None, ..(**self).clone() }.text()));
            }
            "render" => return Ok(Value::from(self.text())),
            "matches" => return self.matches(&args),
            "quoted" => return Ok(Value::from(quote_identifier(&args.text(0, "identifier")?))),
            "information_schema" | "information_schema_only" => self.information_schema(&args)?,
            "relation_max_name_length" => return Ok(Value::from(MAX_NAME_LENGTH)),
            "get" => {
                let found = self.get_value_by_str(&args.text(0, "key")?);
                return Ok(found.or_else(|| args.get(1, "default").cloned()).unwrap_or(Value::from(())));
            }
            _ => return Err(Error::new(ErrorKind::UnknownMethod, format!("a relation has no method `{method}`"))),
        };
        Ok(Value::from_object(changed))
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        Some(self.text().cmp(&other.text()).then_with(|| self.relation.cmp(&other.relation)))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// `Relation.MaterializedView` and its like: the name of the type.
fn type_constant(key: &str) -> &'static str {
    match key {
        "Table" => "table",
        "View" => "view",
        "CTE" => "cte",
        "MaterializedView" => "materialized_view",
        "Function" => "function",
        _ => "external",
    }
}

/// The longest name a relation may have, as Postgres has it.
const MAX_NAME_LENGTH: usize = 63;

fn relation_type(value: &Value) -> Option<RelationType> {
    serde_json::from_value(serde_json::Value::from(value.as_str()?)).ok()
}

/// `api`: classes to make relations and columns with.
pub(super) fn api(root: &Arc<Root>) -> Value {
    record([("Relation", relation_class(root)), ("Column", column_class(root))])
}

pub(super) fn relation_class(root: &Arc<Root>) -> Value {
    root.service("Relation", None, |method| match method {
        "create" => Some(create_relation),
        "scd_args" => Some(scd_args),
        "add_ephemeral_prefix" => Some(|_, _, args| Ok(Value::from(format!("__dbt__cte__{}", args.text(0, "name")?)))),
        _ => None,
    })
}

/// What identifies one version of a snapshot's row: the key, one column or several, and the time it was updated at.
fn scd_args(_root: &Arc<Root>, _state: &mut State<'_, '_>, args: &Arguments<'_>) -> Result<Value, Error> {
    let key = args.require(0, "primary_key")?;
    let mut parts: Vec<Value> = match key.as_str() {
        Some(_) => vec![key.clone()],
        None => key.try_iter()?.collect(),
    };
    parts.push(args.require(1, "updated_at")?.clone());
    Ok(super::collection::list(parts))
}

fn create_relation(_root: &Arc<Root>, _state: &mut State<'_, '_>, args: &Arguments<'_>) -> Result<Value, Error> {
    let part = |index, name| args.optional_text(index, name);
    let relation = Relation::new(
        part(0, "database")?.as_deref(),
        part(1, "schema")?.as_deref(),
        &part(2, "identifier")?.unwrap_or_default(),
    );
    let mut value = RelationValue {
        relation,
        kind: args.get(3, "type").and_then(relation_type),
        rendered: None,
        include: [true; 3],
        quote: [true; 3],
    };
    for (policy, flags) in [("quote_policy", &mut value.quote), ("include_policy", &mut value.include)] {
        let Some(policy) = args.get(usize::MAX, policy) else { continue };
        for (index, name) in PARTS.iter().enumerate() {
            if let Some(flag) = policy.get_attr(name).ok().filter(|flag| !flag.is_undefined()) {
                flags[index] = flag.is_true();
            }
        }
    }
    Ok(Value::from_object(value))
}

/// A column as dbt's `Column`: the base type and its sizes apart.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ColumnValue {
    name: String,
    dtype: String,
    sizes: Vec<i64>,
}

impl ColumnValue {
    pub fn new(column: &ColumnType) -> Self {
        Self::of(&column.name, &column.data_type)
    }

    /// `character varying(20)` is the base `character varying` with the size 20.
    fn of(name: &str, data_type: &str) -> Self {
        let (base, sizes) = match data_type.trim().strip_suffix(')').and_then(|text| text.split_once('(')) {
            Some((base, sizes)) => match sizes.split(',').map(|size| size.trim().parse()).collect::<Result<Vec<i64>, _>>() {
                Ok(sizes) => (base.trim(), sizes),
                Err(_) => (data_type, Vec::new()),
            },
            None => (data_type, Vec::new()),
        };
        Self { name: name.to_string(), dtype: base.trim().to_string(), sizes }
    }

    fn data_type(&self) -> String {
        let dtype = &self.dtype;
        match self.sizes.as_slice() {
            [] => dtype.clone(),
            sizes => format!("{dtype}({})", sizes.iter().map(i64::to_string).collect::<Vec<_>>().join(",")),
        }
    }

    fn is_one_of(&self, types: &[&str]) -> bool {
        types.iter().any(|name| self.dtype.eq_ignore_ascii_case(name))
    }

    fn is_string(&self) -> bool {
        self.is_one_of(&["text", "character varying", "character", "varchar", "char", "string", "bpchar"])
    }

    fn is_integer(&self) -> bool {
        self.is_one_of(&[
            "smallint",
            "integer",
            "int",
            "bigint",
            "tinyint",
            "smallserial",
            "serial",
            "bigserial",
            "int2",
            "int4",
            "int8",
            "serial2",
            "serial4",
            "serial8",
        ])
    }

    fn is_float(&self) -> bool {
        self.is_one_of(&["real", "float4", "float", "double precision", "float8", "double"])
    }

    fn is_numeric(&self) -> bool {
        self.is_one_of(&["numeric", "decimal"])
    }

    fn string_size(&self) -> Result<i64, Error> {
        if !self.is_string() {
            return Err(Error::new(ErrorKind::InvalidOperation, format!("column `{}` is no text column", self.name)));
        }
        Ok(self.sizes.first().copied().unwrap_or(256))
    }
}

impl fmt::Debug for ColumnValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<Column {} ({})>", self.name, self.data_type())
    }
}

impl Object for ColumnValue {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let size = |index: usize, applies: bool| {
            self.sizes.get(index).filter(|_| applies).map_or(Value::from(()), |size| Value::from(*size))
        };
        Some(match key {
            "name" | "column" => Value::from(self.name.as_str()),
            "dtype" => Value::from(self.dtype.as_str()),
            "data_type" | "expanded_data_type" => Value::from(self.data_type()),
            "quoted" => Value::from(quote_identifier(&self.name)),
            "char_size" => size(0, self.is_string()),
            "numeric_precision" => size(0, self.is_numeric()),
            "numeric_scale" => size(1, self.is_numeric()),
            _ => return None,
        })
    }

    fn call_method(self: &Arc<Self>, _state: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let args = Arguments::new(method, args);
        Ok(match method {
            "is_string" => Value::from(self.is_string()),
            "is_number" => Value::from(self.is_integer() || self.is_float() || self.is_numeric()),
            "is_numeric" => Value::from(self.is_numeric()),
            "is_integer" => Value::from(self.is_integer()),
            "is_float" => Value::from(self.is_float()),
            "string_size" => Value::from(self.string_size()?),
            "string_type" => Value::from(format!("character varying({})", args.require(0, "size")?)),
            "literal" => Value::from(format!("{}::{}", args.require(0, "value")?, self.data_type())),
            "can_expand_to" => {
                let other = args.require(0, "other_column")?.downcast_object_ref::<Self>();
                let wider = other.filter(|other| self.is_string() && other.is_string());
                Value::from(match wider {
                    Some(other) => other.string_size()? > self.string_size()?,
                    None => false,
                })
            }
            "translate_type" => Value::from(translated(&args.text(0, "dtype")?)),
            _ => return Err(Error::new(ErrorKind::UnknownMethod, format!("a column has no method `{method}`"))),
        })
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(self.as_ref().cmp(other.downcast_ref::<Self>()?))
    }
}

/// The database's name for dbt's names of types; any other stays as it is.
fn translated(dtype: &str) -> String {
    match dtype.to_ascii_uppercase().as_str() {
        "STRING" => "TEXT".to_string(),
        "INTEGER" => "INT".to_string(),
        known @ ("TIMESTAMP" | "FLOAT" | "BOOLEAN") => known.to_string(),
        _ => dtype.to_string(),
    }
}

pub(super) fn column_class(root: &Arc<Root>) -> Value {
    let create: Native = |_, _, args| {
        let data_type = args.get(1, "dtype").map(Value::to_string).unwrap_or_default();
        let size = |index, name| args.get(index, name).and_then(|size| i64::try_from(size.clone()).ok());
        let mut column = ColumnValue::of(&args.text(0, "column")?, &data_type);
        match (size(2, "char_size"), size(3, "numeric_precision"), size(4, "numeric_scale")) {
            (Some(length), _, _) if column.is_string() => column.sizes = vec![length],
            (_, Some(precision), Some(scale)) if column.is_numeric() => column.sizes = vec![precision, scale],
            _ => {}
        }
        Ok(Value::from_object(column))
    };
    root.service("Column", Some(create), |method| match method {
        "create" => Some(|_, _, args| {
            let data_type =
                args.get(1, "label_or_dtype").or_else(|| args.get(1, "dtype")).map(Value::to_string).unwrap_or_default();
            Ok(Value::from_object(ColumnValue::of(&args.text(0, "name")?, &translated(&data_type))))
        }),
        "translate_type" => Some(|_, _, args| Ok(Value::from(translated(&args.text(0, "dtype")?)))),
        "numeric_type" => Some(|_, _, args| {
            let (dtype, precision, scale) = (args.text(0, "dtype")?, args.get(1, "precision"), args.get(2, "scale"));
            Ok(Value::from(match (precision, scale) {
                (Some(precision), Some(scale)) if !precision.is_none() && !scale.is_none() => {
                    format!("{dtype}({precision},{scale})")
                }
                _ => dtype,
            }))
        }),
        "string_type" => Some(|_, _, args| Ok(Value::from(format!("character varying({})", args.require(0, "size")?)))),
        _ => None,
    })
}
