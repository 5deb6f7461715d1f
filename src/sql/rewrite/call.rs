//! Function calls by other names and in other forms: one row a name in [`translate`]'s table.

use sqlparser::ast::{
    BinaryOperator, DataType, DuplicateTreatment, ExactNumberInfo, Expr, Function, FunctionArgumentClause, FunctionArguments,
    NullTreatment, OrderByExpr, OrderByOptions, TimezoneInfo, Value, WindowType,
};

use super::build::{
    self, binary, call, case, cast, is_not_null, is_null, literal_text, name_of, nested, null, number, plain_args, text,
};
use super::unit;
use crate::sql::SqlError;

pub(super) const TIMESTAMP: DataType = DataType::Timestamp(None, TimezoneInfo::None);
const TIMESTAMP_TZ: DataType = DataType::Timestamp(None, TimezoneInfo::Tz);
const DOUBLE: DataType = DataType::DoublePrecision;

/// Names that differ and nothing else.
const SYNONYMS: &[(&str, &str)] = &[
    ("nvl", "coalesce"),
    ("ifnull", "coalesce"),
    ("isnull", "coalesce"),
    ("len", "character_length"),
    ("lcase", "lower"),
    ("ucase", "upper"),
    ("startswith", "starts_with"),
    ("endswith", "ends_with"),
    ("substring", "substr"),
    ("char", "chr"),
    ("sign", "signum"),
    ("dexp", "exp"),
    ("dlog1", "ln"),
    ("dlog10", "log10"),
    ("ceiling", "ceil"),
    ("rand", "random"),
    ("gen_random_uuid", "uuid"),
    ("uuid_generate_v4", "uuid"),
    ("generate_uuid", "uuid"),
    ("uuid_string", "uuid"),
    ("every", "bool_and"),
    ("booland_agg", "bool_and"),
    ("logical_and", "bool_and"),
    ("boolor_agg", "bool_or"),
    ("logical_or", "bool_or"),
    ("variance", "var_samp"),
    ("var", "var_samp"),
    ("variance_samp", "var_samp"),
    ("variance_pop", "var_pop"),
    ("approx_count_distinct", "approx_distinct"),
    ("hll", "approx_distinct"),
    ("arbitrary", "any_value"),
    ("collect_list", "array_agg"),
    ("list", "array_agg"),
    ("array_size", "array_length"),
    ("cardinality", "array_length"),
    ("array_contains", "array_has"),
    ("list_contains", "array_has"),
    ("text_to_array", "string_to_array"),
    ("split_to_array", "string_to_array"),
    ("datefromparts", "make_date"),
    ("date_from_parts", "make_date"),
    ("to_varchar", "to_char"),
    ("to_text", "to_char"),
    ("date_format", "to_char"),
    ("get_json_object", "json_extract_path_text"),
    ("json_value", "json_extract_path_text"),
    ("json_extract_string", "json_extract_path_text"),
    ("bpcharcmp", "strcmp"),
    ("regexp_extract", "regexp_substr"),
    ("sha", "sha1"),
    ("func_sha1", "sha1"),
    ("string_agg", "listagg"),
    ("group_concat", "listagg"),
    ("str_split", "string_to_array"),
    ("string_split", "string_to_array"),
];

/// Functions of one argument that read a date part: `year(x)`.
const PARTS: &[&str] = &[
    "year",
    "quarter",
    "month",
    "week",
    "day",
    "hour",
    "minute",
    "second",
    "dayofweek",
    "dayofyear",
    "dayofmonth",
    "weekofyear",
    "weekiso",
    "dayofweekiso",
    "weekday",
    "isodow",
    "epoch",
    "yearofweek",
];

/// The expression a call stands for; `None` leaves it as it is (changed in place or not).
pub(super) fn translate(function: &mut Function) -> Result<Option<Expr>, SqlError> {
    let mut name = name_of(function);
    if let Some((_, other)) = SYNONYMS.iter().find(|(from, _)| *from == name) {
        name = (*other).to_string();
        build::rename(function, other);
    }
    if let Some(expr) = aggregate(function, &name)? {
        return Ok(Some(expr));
    }
    if function.over.is_some() || function.filter.is_some() {
        return Ok(None);
    }
    let Some(args) = plain_args(function) else { return Ok(None) };
    let translated = match conditional(&name, &args) {
        Some(expr) => Some(expr),
        None => match dates(&name, &args)? {
            Some(expr) => Some(expr),
            None => texts_and_numbers(&name, &args),
        },
    };
    Ok(translated)
}

// ── Conditions ───────────────────────────────────────────────────────────────────────────────────────────────────────

fn conditional(name: &str, args: &[Expr]) -> Option<Expr> {
    Some(match (name, args) {
        ("decode", [value, pairs @ ..]) if pairs.len() >= 2 => decode(value, pairs),
        ("nvl2", [value, then, otherwise]) => case(vec![(is_not_null(value.clone()), then.clone())], Some(otherwise.clone())),
        ("iff" | "if", [condition, then, otherwise]) => case(vec![(condition.clone(), then.clone())], Some(otherwise.clone())),
        ("zeroifnull", [value]) => call("coalesce", vec![value.clone(), number(0)]),
        ("nullifzero", [value]) => call("nullif", vec![value.clone(), number(0)]),
        ("equal_null", [left, right]) => Expr::IsNotDistinctFrom(Box::new(left.clone()), Box::new(right.clone())),
        ("div0", [left, right]) => divide_or(left, right, number(0)),
        ("div0null", [left, right]) => {
            let zero = binary(call("coalesce", vec![right.clone(), number(0)]), BinaryOperator::Eq, number(0));
            case(vec![(zero, number(0))], Some(binary(nested(left.clone()), BinaryOperator::Divide, nested(right.clone()))))
        }
        ("safe_divide", [left, right]) => divide_or(left, right, null()),
        _ => return None,
    })
}

/// Oracle's and Redshift's `decode`: the first match, where null matches null. (PostgreSQL's has two arguments and reads an
/// encoding.)
fn decode(value: &Expr, pairs: &[Expr]) -> Expr {
    let mut branches = Vec::new();
    let mut chunks = pairs.chunks_exact(2);
    for pair in &mut chunks {
        let matches = match &pair[0] {
            Expr::Value(v) if v.value == Value::Null => is_null(value.clone()),
            Expr::Value(_) => binary(nested(value.clone()), BinaryOperator::Eq, pair[0].clone()),
            other => Expr::IsNotDistinctFrom(Box::new(nested(value.clone())), Box::new(other.clone())),
        };
        branches.push((matches, pair[1].clone()));
    }
    case(branches, chunks.remainder().first().cloned())
}

fn divide_or(left: &Expr, right: &Expr, otherwise: Expr) -> Expr {
    let zero = binary(nested(right.clone()), BinaryOperator::Eq, number(0));
    case(vec![(zero, otherwise)], Some(binary(nested(left.clone()), BinaryOperator::Divide, nested(right.clone()))))
}

// ── Dates ────────────────────────────────────────────────────────────────────────────────────────────────────────────

fn dates(name: &str, args: &[Expr]) -> Result<Option<Expr>, SqlError> {
    if PARTS.contains(&name)
        && let [value] = args
    {
        let part = unit::canonical(name).unwrap_or(name);
        return Ok(Some(call("date_part", vec![text(part), value.clone()])));
    }
    let unit_of = |expr: &Expr| literal_text(expr).and_then(unit::canonical).map(text);
    Ok(Some(match (name, args) {
        ("getdate" | "sysdate" | "systimestamp" | "localtimestamp" | "current_datetime", []) => {
            cast(call("now", Vec::new()), TIMESTAMP)
        }
        ("now" | "current_timestamp" | "transaction_timestamp" | "statement_timestamp" | "clock_timestamp", _)
            if args.len() < 2 =>
        {
            cast(call("now", Vec::new()), TIMESTAMP_TZ)
        }
        ("today" | "curdate", []) => call("current_date", Vec::new()),
        ("date" | "to_date" | "try_to_date", [value]) => cast(value.clone(), DataType::Date),
        ("to_timestamp_ntz" | "to_datetime", [value]) => cast(value.clone(), TIMESTAMP),
        ("to_time", [value]) => cast(value.clone(), DataType::Time(None, TimezoneInfo::None)),
        ("dateadd" | "timestampadd" | "date_add", [part, amount, value]) => match unit_of(part) {
            Some(part) => call("dateadd", vec![part, amount.clone(), value.clone()]),
            None => return Err(bad_unit(name, part)),
        },
        ("date_add", [value, interval]) => binary(cast(value.clone(), TIMESTAMP), BinaryOperator::Plus, nested(interval.clone())),
        ("date_sub", [value, interval]) => {
            binary(cast(value.clone(), TIMESTAMP), BinaryOperator::Minus, nested(interval.clone()))
        }
        ("datediff" | "date_diff" | "timestampdiff" | "timestamp_diff" | "datetime_diff", [a, b, c]) => {
            match (unit_of(a), unit_of(c)) {
                (Some(part), _) => call("datediff", vec![part, b.clone(), c.clone()]),
                // BigQuery's order: later, earlier, part.
                (None, Some(part)) => call("datediff", vec![part, b.clone(), a.clone()]),
                (None, None) => return Err(bad_unit(name, a)),
            }
        }
        ("date_part" | "datepart", [part, value]) => match unit_of(part) {
            Some(part) => call("date_part", vec![part, value.clone()]),
            None => return Ok(None),
        },
        ("date_trunc" | "datetrunc" | "timestamp_trunc" | "datetime_trunc" | "trunc", [a, b]) => match (unit_of(a), unit_of(b)) {
            (Some(part), _) => call("date_trunc", vec![part, b.clone()]),
            (None, Some(part)) => call("date_trunc", vec![part, a.clone()]),
            (None, None) => return Ok(None),
        },
        ("convert_timezone", [to, value]) => call("convert_timezone", vec![text("UTC"), to.clone(), value.clone()]),
        ("dayname", [value]) => call("to_char", vec![value.clone(), text("Dy")]),
        ("monthname", [value]) => call("to_char", vec![value.clone(), text("Mon")]),
        ("from_unixtime", [seconds]) => call("to_timestamp", vec![seconds.clone()]),
        _ => return Ok(None),
    }))
}

fn bad_unit(name: &str, unit: &Expr) -> SqlError {
    let error = SqlError::new(format!("`{name}` needs a date part such as `day` or `month`, found `{unit}`"));
    error.with_help("date parts: year, quarter, month, week, day, hour, minute, second, millisecond, microsecond")
}

// ── Text and numbers ─────────────────────────────────────────────────────────────────────────────────────────────────

fn texts_and_numbers(name: &str, args: &[Expr]) -> Option<Expr> {
    Some(match (name, args) {
        ("charindex", [part, whole]) => call("strpos", vec![whole.clone(), part.clone()]),
        ("position" | "instr", [whole, part]) => call("strpos", vec![whole.clone(), part.clone()]),
        ("space", [n]) => call("repeat", vec![text(" "), n.clone()]),
        ("sha2", [value]) => call("encode", vec![call("sha256", vec![value.clone()]), text("hex")]),
        ("sha2", [value, bits]) => {
            let function = match bits.to_string().as_str() {
                "224" => "sha224",
                "384" => "sha384",
                "512" => "sha512",
                _ => "sha256",
            };
            call("encode", vec![call(function, vec![value.clone()]), text("hex")])
        }
        ("mod", [left, right]) => nested(binary(nested(left.clone()), BinaryOperator::Modulo, nested(right.clone()))),
        ("div", [left, right]) => {
            let quotient = binary(nested(left.clone()), BinaryOperator::Divide, nested(right.clone()));
            call("nearest", vec![call("trunc", vec![quotient])])
        }
        ("ceil" | "floor" | "trunc", [_]) => call("nearest", vec![call(name, args.to_vec())]),
        ("trunc", [value, digits]) => call("round", vec![call(name, vec![value.clone(), digits.clone()]), digits.clone()]),
        ("square", [value]) => nested(binary(nested(value.clone()), BinaryOperator::Multiply, nested(value.clone()))),
        ("bitand", [left, right]) => nested(binary(nested(left.clone()), BinaryOperator::BitwiseAnd, nested(right.clone()))),
        ("bitor", [left, right]) => nested(binary(nested(left.clone()), BinaryOperator::BitwiseOr, nested(right.clone()))),
        ("array_length", [value]) => call("array_length", vec![value.clone(), number(1)]),
        ("quote_ident", [value]) => {
            let doubled = call("replace", vec![value.clone(), text("\""), text("\"\"")]);
            call("concat", vec![text("\""), doubled, text("\"")])
        }
        ("quote_literal", [value]) => {
            let doubled = call("replace", vec![value.clone(), text("'"), text("''")]);
            call("concat", vec![text("'"), doubled, text("'")])
        }
        ("to_number" | "to_decimal" | "to_numeric", [value]) => call("numeric", vec![value.clone()]),
        ("to_boolean" | "try_to_boolean", [value]) => cast(value.clone(), DataType::Boolean),
        ("try_to_number" | "try_to_decimal" | "try_to_numeric", [value]) => Expr::Cast {
            kind: sqlparser::ast::CastKind::TryCast,
            expr: Box::new(value.clone()),
            data_type: DataType::Numeric(ExactNumberInfo::None),
            array: false,
            format: None,
        },
        ("to_double", [value]) => cast(value.clone(), DOUBLE),
        ("to_char", [value]) => call("text", vec![value.clone()]),
        _ => return None,
    })
}

// ── Aggregates ───────────────────────────────────────────────────────────────────────────────────────────────────────

fn aggregate(function: &mut Function, name: &str) -> Result<Option<Expr>, SqlError> {
    match name {
        "count" => count_of_several(function),
        "listagg" => listagg(function),
        "count_if" | "countif" => {
            if let Some([condition]) = plain_args(function).as_deref() {
                build::rename(function, "count");
                build::set_args(function, vec![case(vec![(condition.clone(), number(1))], None)]);
            }
        }
        "median" => {
            if let Some([value]) = plain_args(function).as_deref() {
                build::set_args(function, vec![cast(value.clone(), DOUBLE)]);
            }
        }
        "min_by" | "argmin" | "arg_min" => extreme_by(function, true),
        "max_by" | "argmax" | "arg_max" => extreme_by(function, false),
        "mode" | "percentile_disc" => ordered_set(function, name),
        // DataFusion counts without a sign; nothing else does, and `rn - 2` of 1 would fail.
        "row_number" | "rank" | "dense_rank" | "ntile" | "approx_distinct" => {
            return Ok(Some(cast(Expr::Function(function.clone()), DataType::BigInt(None))));
        }
        "ratio_to_report" => return Ok(ratio_to_report(function)),
        _ => {}
    }
    Ok(None)
}

/// `count(distinct a, b)`: rows where one of them is null do not count.
fn count_of_several(function: &mut Function) {
    let FunctionArguments::List(list) = &function.args else { return };
    if list.duplicate_treatment != Some(DuplicateTreatment::Distinct) {
        return;
    }
    let Some(args) = plain_args(function) else { return };
    if args.len() < 2 {
        return;
    }
    let complete = build::chain(args.iter().map(|arg| is_not_null(nested(arg.clone()))), BinaryOperator::And);
    let Some(complete) = complete else { return };
    build::set_args(function, vec![case(vec![(complete, call("struct", args))], None)]);
}

/// `listagg(x, ',') within group (order by y)`, `string_agg(x, ',' order by y)`: DataFusion's `string_agg`.
fn listagg(function: &mut Function) {
    let Some(mut args) = plain_args(function) else { return };
    build::rename(function, "string_agg");
    if args.is_empty() {
        return;
    }
    let original = std::mem::replace(&mut args[0], null());
    args[0] = call("text", vec![original.clone()]);
    let mut separator = None;
    let order = std::mem::take(&mut function.within_group);
    if let FunctionArguments::List(list) = &mut function.args {
        list.clauses.retain(|clause| match clause {
            FunctionArgumentClause::Separator(value) => {
                separator = Some(value.clone());
                false
            }
            FunctionArgumentClause::OnOverflow(_) => false,
            _ => true,
        });
        if !order.is_empty() {
            list.clauses.push(FunctionArgumentClause::OrderBy(order));
        }
        // With `distinct` the order must be by the very argument.
        for clause in list.clauses.iter_mut().filter(|_| list.duplicate_treatment == Some(DuplicateTreatment::Distinct)) {
            let FunctionArgumentClause::OrderBy(order) = clause else { continue };
            order.iter_mut().filter(|by| by.expr == original).for_each(|by| by.expr = args[0].clone());
        }
    }
    if args.len() == 1 {
        args.push(separator.map_or_else(|| text(""), Expr::value));
    }
    build::set_args(function, args);
}

/// `max_by(x, y)`: the first `x` by descending `y`; rows where `y` is null do not count.
fn extreme_by(function: &mut Function, ascending: bool) {
    let Some([value, by]) = plain_args(function).and_then(|args| <[Expr; 2]>::try_from(args).ok()) else { return };
    let present = is_not_null(nested(by.clone()));
    build::rename(function, "first_value");
    build::set_args(function, vec![value]);
    let options = OrderByOptions { asc: Some(ascending), nulls_first: Some(false) };
    if let FunctionArguments::List(list) = &mut function.args {
        list.clauses.push(FunctionArgumentClause::OrderBy(vec![OrderByExpr { expr: by, options, with_fill: None }]));
    }
    function.filter = Some(Box::new(match function.filter.take() {
        Some(filter) => binary(nested(*filter), BinaryOperator::And, present),
        None => present,
    }));
}

/// `mode() within group (order by x)` as `mode(x)`; `percentile_disc(p) within group (order by x)` as `percentile_disc(x, p)`.
fn ordered_set(function: &mut Function, name: &str) {
    let Some(mut args) = plain_args(function) else { return };
    let [order] = function.within_group.as_slice() else { return };
    let descending = order.options.asc == Some(false);
    let value = order.expr.clone();
    if name == "percentile_disc"
        && let Some(first) = args.first_mut()
        && descending
    {
        *first = binary(number(-1), BinaryOperator::Multiply, nested(first.clone()));
    }
    args.insert(0, value);
    function.within_group.clear();
    build::set_args(function, args);
}

/// `ratio_to_report(x) over (w)` as `x / sum(x) over (w)`.
fn ratio_to_report(function: &Function) -> Option<Expr> {
    let over @ Some(WindowType::WindowSpec(_) | WindowType::NamedWindow(_)) = function.over.clone() else { return None };
    let [value] = <[Expr; 1]>::try_from(plain_args(function)?).ok()?;
    let mut sum = build::function("sum", vec![value.clone()]);
    sum.over = over;
    let total = call("nullif", vec![Expr::Function(sum), number(0)]);
    Some(binary(cast(value, DOUBLE), BinaryOperator::Divide, cast(total, DOUBLE)))
}

/// `ignore nulls` written where DataFusion does not look for it.
pub(super) fn place_null_treatment(function: &mut Function) {
    let FunctionArguments::List(list) = &mut function.args else { return };
    let mut found = None;
    list.clauses.retain(|clause| match clause {
        FunctionArgumentClause::IgnoreOrRespectNulls(treatment) => {
            found = Some(*treatment);
            false
        }
        _ => true,
    });
    let found: Option<NullTreatment> = found;
    function.null_treatment = function.null_treatment.take().or(found);
}
