//! The difference of two texts, line by line.

/// Lines around a difference that are shown with it.
const CONTEXT: usize = 3;
/// Beyond this many pairs of lines the texts are shown from their first difference on, without a search for the best match.
const SEARCH_LIMIT: usize = 4_000_000;
const SHOWN_LINES: usize = 200;

/// `-` before lines that were expected, `+` before lines that came instead.
pub fn lines(expected: &str, actual: &str) -> String {
    let (expected, actual): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    let same = expected.iter().zip(&actual).take_while(|(e, a)| e == a).count();
    let start = same.saturating_sub(CONTEXT);
    let (expected, actual) = (&expected[start..], &actual[start..]);
    let mut out = format!("@@ line {}\n", start + 1);
    let script = match expected.len() * actual.len() > SEARCH_LIMIT {
        true => expected.iter().map(|line| ('-', *line)).chain(actual.iter().map(|line| ('+', *line))).collect(),
        false => script(expected, actual),
    };
    for (mark, line) in script.iter().take(SHOWN_LINES) {
        out += &format!("{mark} {line}\n");
    }
    if script.len() > SHOWN_LINES {
        out += &format!("… {} more lines\n", script.len() - SHOWN_LINES);
    }
    out
}

/// The longest common subsequence, by the textbook's table.
fn script<'a>(expected: &[&'a str], actual: &[&'a str]) -> Vec<(char, &'a str)> {
    let mut common = vec![vec![0_u32; actual.len() + 1]; expected.len() + 1];
    for e in (0..expected.len()).rev() {
        for a in (0..actual.len()).rev() {
            common[e][a] =
                if expected[e] == actual[a] { common[e + 1][a + 1] + 1 } else { common[e + 1][a].max(common[e][a + 1]) };
        }
    }
    let (mut e, mut a, mut out) = (0, 0, Vec::new());
    while e < expected.len() || a < actual.len() {
        if e < expected.len() && a < actual.len() && expected[e] == actual[a] {
            out.push((' ', expected[e]));
            (e, a) = (e + 1, a + 1);
        } else if e < expected.len() && (a == actual.len() || common[e + 1][a] >= common[e][a + 1]) {
            out.push(('-', expected[e]));
            e += 1;
        } else {
            out.push(('+', actual[a]));
            a += 1;
        }
    }
    out
}
