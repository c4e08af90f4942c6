//! What programs print, without what is random.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

/// Pattern and what stands in its place.
static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
        // Helm: Mon Nov 30 17:51:28 2026, and 2026-11-30 17:51:28.123456 +0000 UTC
        (
            r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}",
            "<time>",
        ),
        (
            r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4} [A-Z]+",
            "<time>",
        ),
        // Log lines of client-go: I1130 17:51:28.123456   12345 file.go:12]
        (r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ ", "<log> "),
        (r#"(resourceVersion"?: )"\d+""#, "$1<version>"),
        (r"(Resource Version: +)\d+", "$1<version>"),
        (r#"https?://(127\.0\.0\.1|localhost):\d+"#, "<server>"),
        (r"\b(\d+[dhms])+ ago\b", "<age> ago"),
        // An age is the last column, or stands before the reason of an event.
        (r"(?m) +(\d+[dhms])+( |$)", "  <age>$2"),
        (r"/tmp/[^/ ]+/", "<directory>/"),
        (r"kubectl-edit-\d+", "kubectl-edit-<number>"),
    ]
    .map(|(pattern, place)| (Regex::new(pattern).unwrap(), place))
    .into()
});
static UID: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap());
/// The width of a column follows its widest cell.
static BLANKS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?P<before>\S)[ \t]{2,}").unwrap());

/// What a program printed, so that two servers can be compared by it.
pub fn normal(text: &str, namespace: &str, work: &Path) -> String {
    let text = text
        .replace(namespace, "<ns>")
        .replace(&work.display().to_string(), "<directory>");
    let mut uids = BTreeMap::new();
    let mut text = UID
        .replace_all(&text, |found: &regex::Captures| {
            let next = uids.len() + 1;
            format!("<uid {}>", uids.entry(found[0].to_owned()).or_insert(next))
        })
        .into_owned();
    for (pattern, place) in PATTERNS.iter() {
        text = pattern.replace_all(&text, *place).into_owned();
    }
    let text = BLANKS.replace_all(&text, "$before  ");
    // Whether a watch of client-go was open when the program ended is chance, and so is what it logs about that.
    let said = text.lines().filter(|line| !line.contains("reflector.go:"));
    let lines: Vec<_> = said.map(str::trim_end).collect();
    lines.join("\n")
}
