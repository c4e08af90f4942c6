//! Reads the text of a scrape back, strictly enough to notice what a scraper would refuse.

use std::collections::{BTreeMap, BTreeSet};

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// A scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Scrape {
    /// Family → type.
    pub families: BTreeMap<String, String>,
    pub samples: Vec<Sample>,
}

impl Scrape {
    /// Panics with the line that is wrong.
    pub fn of(text: &str) -> Self {
        let body = text
            .strip_suffix("# EOF\n")
            .unwrap_or_else(|| panic!("no end: {text}"));
        let mut scrape = Self::default();
        let mut family = String::new();
        for line in body.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap_or_else(|| panic!("{line}"));
                name.clone_into(&mut family);
                let before = scrape.families.insert(family.clone(), kind.to_owned());
                assert!(before.is_none(), "a family twice: {line}");
            } else if !line.starts_with("# HELP ") {
                let sample = sample(line);
                let rest = sample.name.strip_prefix(&family);
                let known = ["", "_total", "_bucket", "_sum", "_count"];
                assert!(
                    rest.is_some_and(|r| known.contains(&r)),
                    "of another family: {line}"
                );
                scrape.samples.push(sample);
            }
        }
        let mut seen = BTreeSet::new();
        for sample in &scrape.samples {
            let key = (sample.name.clone(), sample.labels.clone());
            assert!(seen.insert(key), "a series twice: {sample:?}");
        }
        scrape
    }

    /// The value of the one series with this name and these labels among its own.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let fits = |s: &&Sample| {
            let has = |(k, v): &(&str, &str)| s.labels.get(*k).is_some_and(|l| l == v);
            s.name == name && labels.iter().all(has)
        };
        let found: Vec<&Sample> = self.samples.iter().filter(fits).collect();
        assert!(found.len() <= 1, "{name} {labels:?}: {found:?}");
        found.first().map(|s| s.value)
    }
}

fn sample(line: &str) -> Sample {
    let (series, value) = match line.rsplit_once(' ') {
        Some(parts) => parts,
        None => panic!("{line}"),
    };
    let (name, labels) = match series.split_once('{') {
        Some((name, rest)) => {
            let inner = rest.strip_suffix('}').unwrap_or_else(|| panic!("{line}"));
            (name, labels(inner, line))
        }
        None => (series, BTreeMap::new()),
    };
    Sample {
        name: name.to_owned(),
        labels,
        value: value.parse().unwrap_or_else(|_| panic!("{line}")),
    }
}

fn labels(text: &str, line: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (key, after) = rest.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
        let (mut value, mut escaped, mut end) = (String::new(), false, None);
        for (at, c) in after.char_indices() {
            match (escaped, c) {
                (true, 'n') => value.push('\n'),
                (true, c) => value.push(c),
                (false, '\\') => {}
                (false, '"') => {
                    end = Some(at + 1);
                    break;
                }
                (false, c) => value.push(c),
            }
            escaped = !escaped && c == '\\';
        }
        let end = end.unwrap_or_else(|| panic!("{line}"));
        let before = found.insert(key.to_owned(), value);
        assert!(before.is_none(), "a label twice: {line}");
        rest = &after[end..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    found
}
