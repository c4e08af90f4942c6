//! Names and labels: the rules of Kubernetes for them and its words.

use super::formats::fixed;
use regex::Regex;
use std::sync::LazyLock;

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const DNS_1035: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const QUALIFIED: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const VALUE: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
const DATA_KEY: &str = "[-._a-zA-Z0-9]+";

static LABEL_WHOLE: LazyLock<Regex> = LazyLock::new(|| whole(LABEL));
static SUBDOMAIN_WHOLE: LazyLock<Regex> = LazyLock::new(|| whole(SUBDOMAIN));
static DNS_1035_WHOLE: LazyLock<Regex> = LazyLock::new(|| whole(DNS_1035));
static QUALIFIED_WHOLE: LazyLock<Regex> = LazyLock::new(|| whole(QUALIFIED));
static VALUE_WHOLE: LazyLock<Regex> = LazyLock::new(|| whole(VALUE));
static DATA_KEY_WHOLE: LazyLock<Regex> = LazyLock::new(|| whole(DATA_KEY));

fn whole(pattern: &str) -> Regex {
    fixed(&format!("^(?:{pattern})$"))
}

fn wrong(text: &str, examples: &[&str], pattern: &str) -> String {
    let examples: Vec<String> = examples.iter().map(|e| format!("'{e}', ")).collect();
    format!(
        "{text} (e.g. {}regex used for validation is '{pattern}')",
        examples.join(" or ")
    )
}

fn too_long(max: usize) -> String {
    format!("must be no more than {max} characters")
}

/// The same where labels are read.
fn too_many_bytes(max: usize) -> String {
    format!("must be no more than {max} bytes")
}

/// What is wrong with a DNS label; nothing = good.
pub fn label(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if text.len() > 63 {
        found.push(too_long(63));
    }
    if !LABEL_WHOLE.is_match(text) {
        found.push(if SUBDOMAIN_WHOLE.is_match(text) {
            "must not contain dots".to_owned()
        } else {
            let words = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
                         start and end with an alphanumeric character";
            wrong(words, &["my-name", "123-abc"], LABEL)
        });
    }
    found
}

/// What is wrong with a DNS subdomain, the form of most names; nothing = good.
pub fn subdomain(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if text.len() > 253 {
        found.push(too_long(253));
    }
    if !SUBDOMAIN_WHOLE.is_match(text) {
        let words = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                     must start and end with an alphanumeric character";
        found.push(wrong(words, &["example.com"], SUBDOMAIN));
    }
    found
}

/// What is wrong with a kind in lower case; nothing = good.
pub fn dns_1035(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if text.len() > 63 {
        found.push(too_long(63));
    }
    if !DNS_1035_WHOLE.is_match(text) {
        let words = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
                     character, and end with an alphanumeric character";
        found.push(wrong(words, &["my-name", "abc-123"], DNS_1035));
    }
    found
}

/// What is wrong with the key of a label or annotation or with a finalizer; nothing = good.
pub fn qualified(text: &str) -> Vec<String> {
    let words = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
                 character";
    let wrong_name = |before: &str| {
        wrong(
            &format!("{before}{words}"),
            &["MyName", "my.name", "123-abc"],
            QUALIFIED,
        )
    };
    let mut found = Vec::new();
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts.as_slice() {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                found.push("prefix part must be non-empty".to_owned());
            } else {
                let wrong = subdomain(prefix).into_iter();
                let wrong = wrong.map(|w| w.replace("253 characters", "253 bytes"));
                found.extend(wrong.map(|w| format!("prefix part {w}")));
            }
            name
        }
        _ => {
            let hint = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("{}{hint}", wrong_name("a valid label key "))];
        }
    };
    if name.is_empty() {
        found.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        found.push(format!("name part {}", too_many_bytes(63)));
    }
    if !QUALIFIED_WHOLE.is_match(name) {
        found.push(wrong_name("name part "));
    }
    found
}

/// What is wrong with the value of a label; nothing = good.
pub fn label_value(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if text.len() > 63 {
        found.push(too_many_bytes(63));
    }
    if !VALUE_WHOLE.is_match(text) {
        let words = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and \
                     must start and end with an alphanumeric character";
        found.push(wrong(words, &["MyValue", "my_value", "12345"], VALUE));
    }
    found
}

/// What is wrong with a key of a ConfigMap's or Secret's data; nothing = good.
pub fn data_key(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if text.len() > 253 {
        found.push(too_long(253));
    }
    if !DATA_KEY_WHOLE.is_match(text) {
        let words = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
        found.push(wrong(
            words,
            &["key.name", "KEY_NAME", "key-name"],
            DATA_KEY,
        ));
    }
    match text {
        "." => found.push("must not be '.'".to_owned()),
        ".." => found.push("must not be '..'".to_owned()),
        other if other.starts_with("..") => found.push("must not start with '..'".to_owned()),
        _ => {}
    }
    found
}

/// A prefix of a name, as `generateName`: what follows makes its last hyphen good.
pub fn as_prefix(text: &str) -> String {
    match text.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => {
            let kept: String = rest.chars().take(rest.chars().count() - 1).collect();
            format!("{kept}a")
        }
        _ => text.to_owned(),
    }
}
