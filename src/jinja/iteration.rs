//! `modules.itertools`: the functions of Python's module that dbt hands to templates, as lists.
//!
//! What has no end in Python (`count`, `cycle`, `repeat` without a number) needs an end here.

use minijinja::value::{Tuple, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use super::arguments::Arguments;
use super::collection;
use super::context::Native;

/// More combinations than this are an error, not a full memory.
const MOST: usize = 1_000_000;

/// `itertools.<name>`.
pub(super) fn function(name: &str) -> Option<Native> {
    Some(match name {
        "chain" => |_, _, args| Ok(list(lists(args)?.into_iter().flatten())),
        "product" => |_, _, args| product(args),
        "zip_longest" => |_, _, args| zip_longest(args),
        "combinations" => |_, _, args| choose(args, |last, next| next > last),
        "combinations_with_replacement" => |_, _, args| choose(args, |last, next| next >= last),
        "permutations" => |_, _, args| permutations(args),
        "islice" => |_, _, args| islice(args),
        "accumulate" => |_, state, args| accumulate(args, state),
        "repeat" => |_, _, args| {
            let times = number(args.require(1, "times")?)?;
            Ok(list(std::iter::repeat_n(args.require(0, "object")?.clone(), times)))
        },
        "compress" => |_, _, args| {
            let (data, selectors) = (items(args.require(0, "data")?)?, items(args.require(1, "selectors")?)?);
            Ok(list(data.into_iter().zip(selectors).filter(|(_, wanted)| wanted.is_true()).map(|(value, _)| value)))
        },
        "starmap" => |_, state, args| {
            let function = args.require(0, "function")?.clone();
            let rows = items(args.require(1, "iterable")?)?;
            let results: Result<Vec<Value>, Error> = rows.iter().map(|row| function.call(state, &items(row)?)).collect();
            Ok(list(results?))
        },
        "tee" => |_, _, args| {
            let copies = args.get(1, "n").map_or(Ok(2), number)?;
            let all = list(items(args.require(0, "iterable")?)?);
            Ok(tuple(std::iter::repeat_n(all, copies).collect()))
        },
        "count" | "cycle" => |_, _, _| Err(wrong("this goes on without end; use `range`")),
        _ => return None,
    })
}

/// A list of these values.
fn list(values: impl IntoIterator<Item = Value>) -> Value {
    collection::list(values.into_iter().collect())
}

fn wrong(message: &str) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("itertools: {message}"))
}

fn items(value: &Value) -> Result<Vec<Value>, Error> {
    if value.kind() == ValueKind::String {
        return Ok(value.as_str().unwrap_or_default().chars().map(|letter| Value::from(letter.to_string())).collect());
    }
    Ok(value.try_iter()?.collect())
}

fn lists(args: &Arguments<'_>) -> Result<Vec<Vec<Value>>, Error> {
    args.positional.iter().map(items).collect()
}

fn number(value: &Value) -> Result<usize, Error> {
    value.as_usize().filter(|number| *number <= MOST).ok_or_else(|| wrong(&format!("`{value}` is no number that fits")))
}

fn tuple(values: Vec<Value>) -> Value {
    Value::from(Tuple::from(values))
}

fn bounded(count: usize) -> Result<(), Error> {
    if count > MOST { Err(wrong("the result is too long")) } else { Ok(()) }
}

fn product(args: &Arguments<'_>) -> Result<Value, Error> {
    let times = args.get(usize::MAX, "repeat").map_or(Ok(1), number)?;
    let once = lists(args)?;
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for values in std::iter::repeat_n(&once, times).flatten() {
        bounded(rows.len().saturating_mul(values.len()))?;
        rows = rows
            .iter()
            .flat_map(|row| values.iter().map(move |value| [row.as_slice(), std::slice::from_ref(value)].concat()))
            .collect();
    }
    Ok(list(rows.into_iter().map(tuple)))
}

fn zip_longest(args: &Arguments<'_>) -> Result<Value, Error> {
    let filler = args.get(usize::MAX, "fillvalue").cloned().unwrap_or(Value::from(()));
    let columns = lists(args)?;
    let longest = columns.iter().map(Vec::len).max().unwrap_or_default();
    let row = |at: usize| tuple(columns.iter().map(|column| column.get(at).cloned().unwrap_or_else(|| filler.clone())).collect());
    Ok(list((0..longest).map(row)))
}

/// Selections in order of their places; `follows` says which place may come after another.
fn choose(args: &Arguments<'_>, follows: fn(usize, usize) -> bool) -> Result<Value, Error> {
    let values = items(args.require(0, "iterable")?)?;
    let size = number(args.require(1, "r")?)?;
    let mut chosen: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..size {
        let longer = |places: &Vec<usize>| {
            let last = places.last().copied();
            let fits = move |next: &usize| last.is_none_or(|last| follows(last, *next));
            (0..values.len()).filter(fits).map(|next| [places.as_slice(), &[next]].concat()).collect::<Vec<_>>()
        };
        chosen = chosen.iter().flat_map(longer).collect();
        bounded(chosen.len())?;
    }
    Ok(list(chosen.into_iter().map(|places| tuple(places.into_iter().map(|place| values[place].clone()).collect()))))
}

fn permutations(args: &Arguments<'_>) -> Result<Value, Error> {
    let values = items(args.require(0, "iterable")?)?;
    let size = args.get(1, "r").filter(|size| !size.is_none()).map_or(Ok(values.len()), number)?;
    let mut chosen: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..size {
        let longer = |places: &Vec<usize>| {
            let free = (0..values.len()).filter(|place| !places.contains(place));
            free.map(|next| [places.as_slice(), &[next]].concat()).collect::<Vec<_>>()
        };
        chosen = chosen.iter().flat_map(longer).collect();
        bounded(chosen.len())?;
    }
    Ok(list(chosen.into_iter().map(|places| tuple(places.into_iter().map(|place| values[place].clone()).collect()))))
}

fn islice(args: &Arguments<'_>) -> Result<Value, Error> {
    let values = items(args.require(0, "iterable")?)?;
    let optional = |value: &Value| if value.is_none() { Ok(None) } else { number(value).map(Some) };
    let bounds: Vec<Option<usize>> = args.positional.iter().skip(1).map(optional).collect::<Result<_, _>>()?;
    let (start, stop, step) = match bounds.as_slice() {
        [stop] => (0, *stop, 1),
        [start, stop] => (start.unwrap_or(0), *stop, 1),
        [start, stop, step] => (start.unwrap_or(0), *stop, step.unwrap_or(1).max(1)),
        _ => return Err(wrong("islice takes a list and an end, or a beginning, an end and a step")),
    };
    let stop = stop.unwrap_or(values.len());
    Ok(list(values.into_iter().take(stop).skip(start).step_by(step)))
}

fn accumulate(args: &Arguments<'_>, state: &mut minijinja::State<'_, '_>) -> Result<Value, Error> {
    let values = items(args.require(0, "iterable")?)?;
    let function = args.get(1, "func").filter(|function| !function.is_none()).cloned();
    let mut sums: Vec<Value> = args.get(usize::MAX, "initial").cloned().into_iter().collect();
    for value in values {
        let next = match (sums.last(), &function) {
            (None, _) => value,
            (Some(sum), Some(function)) => function.call(state, &[sum.clone(), value])?,
            (Some(sum), None) => add(sum, &value)?,
        };
        sums.push(next);
    }
    Ok(list(sums))
}

fn add(left: &Value, right: &Value) -> Result<Value, Error> {
    if let (Some(left), Some(right)) = (left.as_i64(), right.as_i64()) {
        return Ok(Value::from(left.saturating_add(right)));
    }
    let float = |value: &Value| f64::try_from(value.clone());
    match (left.as_str(), right.as_str()) {
        (Some(left), Some(right)) => Ok(Value::from(format!("{left}{right}"))),
        _ => Ok(Value::from(float(left)? + float(right)?)),
    }
}
