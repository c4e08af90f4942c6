//! The part of JSONPath that columns of definitions use: fields, indexes, slices, `[*]` and one filter in brackets.

use serde_json::Value;

/// A parsed path.
#[derive(Debug, Clone, PartialEq)]
pub struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    Index(i64),
    Slice(i64, Option<i64>),
    All,
    Filter(Filter),
}

#[derive(Debug, Clone, PartialEq)]
struct Filter {
    path: Path,
    test: Test,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    Exists,
    Compare(Operator, Value),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Longest first, so that `<=` is not taken for `<`.
const OPERATORS: [(&str, Operator); 6] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

impl Path {
    /// Like `.status.conditions[?(@.type=='Ready')].status`. None when it is written otherwise.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim();
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let (name, after) = field(after);
                match name.as_str() {
                    "" => return None,
                    "*" => steps.push(Step::All),
                    _ => steps.push(Step::Field(name)),
                }
                rest = after;
            } else {
                let inside = rest.strip_prefix('[')?;
                let end = closing(inside)?;
                steps.push(bracket(&inside[..end])?);
                rest = &inside[end + 1..];
            }
        }
        Some(Self(steps))
    }

    /// The names of fields with which it begins; what it looks at is below them.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map_while(|step| match step {
            Step::Field(name) => Some(name.as_str()),
            Step::Index(_) | Step::Slice(..) | Step::All | Step::Filter(_) => None,
        })
    }

    /// The first value that the path leads to: a column has room for one.
    pub fn first<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        let mut found = vec![value];
        for step in &self.0 {
            found = found.into_iter().flat_map(|v| step.of(v)).collect();
        }
        found.first().copied()
    }
}

impl Step {
    fn of<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let items = value.as_array();
        match self {
            Self::Field(name) => value.get(name).into_iter().collect(),
            Self::Index(index) => {
                let found = items.and_then(|i| i.get(position(*index, i.len())?));
                found.into_iter().collect()
            }
            Self::Slice(from, to) => items.map_or_else(Vec::new, |i| {
                let from = position(*from, i.len()).unwrap_or(i.len());
                let to = to
                    .map_or(Some(i.len()), |t| position(t, i.len()))
                    .unwrap_or(0);
                i.iter().take(to).skip(from).collect()
            }),
            Self::All => match value {
                Value::Array(items) => items.iter().collect(),
                Value::Object(fields) => fields.values().collect(),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
            },
            Self::Filter(filter) => items
                .into_iter()
                .flatten()
                .filter(|i| filter.passes(i))
                .collect(),
        }
    }
}

impl Filter {
    fn passes(&self, item: &Value) -> bool {
        let found = self.path.first(item);
        match &self.test {
            Test::Exists => found.is_some(),
            Test::Compare(operator, wanted) => found.is_some_and(|f| operator.holds(f, wanted)),
        }
    }
}

impl Operator {
    fn holds(self, found: &Value, wanted: &Value) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let order = match (found, wanted) {
            (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Value::Number(a), Value::Number(b)) => {
                let pair = a.as_f64().zip(b.as_f64());
                pair.and_then(|(a, b)| a.partial_cmp(&b))
            }
            _ => None,
        };
        match self {
            Self::Equal => order == Some(Equal),
            Self::NotEqual => order.is_some_and(|o| o != Equal),
            Self::Less => order == Some(Less),
            Self::LessOrEqual => matches!(order, Some(Less | Equal)),
            Self::Greater => order == Some(Greater),
            Self::GreaterOrEqual => matches!(order, Some(Greater | Equal)),
        }
    }
}

/// A negative index counts from the end.
fn position(index: i64, length: usize) -> Option<usize> {
    if index >= 0 {
        usize::try_from(index).ok()
    } else {
        length.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
    }
}

/// A field's name, in which a backslash hides a dot, and what follows.
fn field(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.extend(chars.next().map(|(_, c)| c)),
            '.' | '[' => return (name, &text[at..]),
            c => name.push(c),
        }
    }
    (name, "")
}

/// Where the bracket ends; quotes and inner brackets are passed over.
fn closing(text: &str) -> Option<usize> {
    let (mut quote, mut depth) = (None, 0);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(at),
            (None, ']') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

fn bracket(text: &str) -> Option<Step> {
    let text = text.trim();
    if text == "*" {
        return Some(Step::All);
    }
    if let Some(inside) = text.strip_prefix("?(").and_then(|t| t.strip_suffix(')')) {
        return filter(inside).map(Step::Filter);
    }
    if let Some(name) = quoted(text) {
        return Some(Step::Field(name.to_owned()));
    }
    if let Some((from, to)) = text.split_once(':') {
        let number = |t: &str| t.trim().parse().ok();
        let from = if from.trim().is_empty() {
            0
        } else {
            number(from)?
        };
        let to = if to.trim().is_empty() {
            None
        } else {
            Some(number(to)?)
        };
        return Some(Step::Slice(from, to));
    }
    // Of several indexes the first one counts, see `Path::first`.
    let index = text.split(',').next().unwrap_or_default().trim();
    index.parse().ok().map(Step::Index)
}

fn filter(text: &str) -> Option<Filter> {
    for (word, operator) in OPERATORS {
        if let Some((left, right)) = text.split_once(word) {
            let path = Path::parse(left.trim().strip_prefix('@')?)?;
            let right = right.trim();
            let wanted = match quoted(right) {
                Some(text) => Value::from(text),
                None => serde_json::from_str(right).ok()?,
            };
            return Some(Filter {
                path,
                test: Test::Compare(operator, wanted),
            });
        }
    }
    Some(Filter {
        path: Path::parse(text.trim().strip_prefix('@')?)?,
        test: Test::Exists,
    })
}

fn quoted(text: &str) -> Option<&str> {
    let of = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    of('\'').or_else(|| of('"'))
}
