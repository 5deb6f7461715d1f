//! Texts made comparable: what differs from run to run is replaced by what it stands for.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

/// Patterns and what stands in their place, applied in order.
static REPLACEMENTS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        // Colours.
        (r"\x1b\[[0-9;?]*[A-Za-z]", ""),
        // A log line's clock.
        (r"(?m)^\d{2}:\d{2}:\d{2}(\.\d+)? {1,2}", ""),
        (r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:?\d{2})", "[TIMESTAMP]"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "[UUID]"),
        (r"\d+ hours? \d+ minutes? and [0-9.]+ seconds?( \([0-9.]+s\))?", "[TIME]"),
        (r"\bin [0-9.]+ ?(s|ms|seconds)\b", "in [TIME]"),
        // How many macros are built in is nobody's promise.
        (r"\b\d+ macros\b", "[N] macros"),
        (r"headwater[ =]\d+\.\d+\.\d+", "headwater [VERSION]"),
        (r"(?m)[ \t]+$", ""),
    ]
    .map(|(pattern, replacement)| (Regex::new(pattern).expect("the patterns are fixed"), replacement))
    .into()
});

/// The text without times, durations, ids and the place it ran in.
pub fn normalize(text: &str, project: &Path) -> String {
    let text = text.replace("\r\n", "\n").replace(&*project.to_string_lossy(), "[PROJECT]");
    REPLACEMENTS.iter().fold(text, |text, (pattern, replacement)| pattern.replace_all(&text, *replacement).into_owned())
}

/// The text with one line break at its end and none before, and no blanks at the ends of lines.
pub fn trimmed(text: &str) -> String {
    let lines: Vec<&str> = text.trim_matches('\n').lines().map(str::trim_end).collect();
    lines.join("\n").trim_end().to_string() + "\n"
}
