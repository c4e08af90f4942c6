//! Label selectors: `a=b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`, `a>1`, `a<1`, joined by commas. The grammar and its errors
//! are those of the real server, which reads `in` and `notin` as words only where an operator may stand.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use crate::embedded::refusal::Refusal;
use crate::embedded::registry::{meta, refusals};
use crate::embedded::schema::names;

/// One requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    key: String,
    operator: Operator,
    values: BTreeSet<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    /// One of the values.
    In,
    /// None of the values, or not there.
    NotIn,
    Exists,
    Missing,
    Greater,
    Less,
}

impl Requirement {
    /// Of an object.
    pub fn matches(&self, object: &Value) -> bool {
        let labels = meta::of(object).and_then(|m| m.get("labels"));
        let value = labels
            .and_then(|l| l.get(&self.key))
            .and_then(Value::as_str);
        let number = |text: &str| text.parse::<i64>().ok();
        let compared = || {
            let limit = self.values.first().and_then(|v| number(v))?;
            Some((value.and_then(number)?, limit))
        };
        match self.operator {
            Operator::In => value.is_some_and(|v| self.values.contains(v)),
            Operator::NotIn => value.is_none_or(|v| !self.values.contains(v)),
            Operator::Exists => value.is_some(),
            Operator::Missing => value.is_none(),
            Operator::Greater => compared().is_some_and(|(value, limit)| value > limit),
            Operator::Less => compared().is_some_and(|(value, limit)| value < limit),
        }
    }
}

/// Reads a selector; an empty one requires nothing.
pub fn parse(text: &str) -> Result<Vec<Requirement>, Refusal> {
    let mut parser = Parser {
        tokens: tokens(text),
        next: 0,
    };
    parser.selector().map_err(refusals::bad_request)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Not,
    Equals,
    DoubleEquals,
    NotEquals,
    Greater,
    Less,
    Open,
    Close,
    Comma,
    /// Symbols that make no token together.
    Other(String),
    End,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Word(text) | Self::Other(text) => text,
            Self::Not => "!",
            Self::Equals => "=",
            Self::DoubleEquals => "==",
            Self::NotEquals => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::Open => "(",
            Self::Close => ")",
            Self::Comma => ",",
            Self::End => "",
        })
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let symbol = |c: char| "=!(),><".contains(c);
    let mut rest = text.trim_start();
    let mut found = Vec::new();
    while let Some(first) = rest.chars().next() {
        let (token, length) = if symbol(first) {
            match (first, rest.as_bytes().get(1)) {
                ('=', Some(b'=')) => (Token::DoubleEquals, 2),
                ('!', Some(b'=')) => (Token::NotEquals, 2),
                ('=', _) => (Token::Equals, 1),
                ('!', _) => (Token::Not, 1),
                ('>', _) => (Token::Greater, 1),
                ('<', _) => (Token::Less, 1),
                ('(', _) => (Token::Open, 1),
                (')', _) => (Token::Close, 1),
                (',', _) => (Token::Comma, 1),
                (other, _) => (Token::Other(other.to_string()), other.len_utf8()),
            }
        } else {
            let end = rest
                .find(|c: char| symbol(c) || c.is_whitespace())
                .unwrap_or(rest.len());
            (Token::Word(rest[..end].to_owned()), end)
        };
        found.push(token);
        rest = rest[length..].trim_start();
    }
    found.push(Token::End);
    found
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
}

impl Parser {
    fn peek(&self) -> Token {
        self.tokens.get(self.next).cloned().unwrap_or(Token::End)
    }

    fn take(&mut self) -> Token {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn selector(&mut self) -> Result<Vec<Requirement>, String> {
        let mut found = Vec::new();
        loop {
            match self.peek() {
                Token::Word(_) | Token::Not => {}
                Token::End => return Ok(found),
                other => {
                    return Err(format!(
                        "found '{other}', expected: !, identifier, or 'end of string'"
                    ));
                }
            }
            let requirement = self.requirement();
            found.push(requirement.map_err(|why| format!("unable to parse requirement: {why}"))?);
            match self.take() {
                Token::End => return Ok(found),
                Token::Comma => {}
                other => return Err(format!("found '{other}', expected: ',' or 'end of string'")),
            }
            match self.peek() {
                Token::Word(_) | Token::Not => {}
                other => return Err(format!("found '{other}', expected: identifier after ','")),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let missing = self.peek() == Token::Not;
        if missing {
            self.take();
        }
        let key = match self.take() {
            Token::Word(key) => key,
            other => return Err(format!("found '{other}', expected: identifier")),
        };
        check(&key, "<nil>", names::qualified(&key))?;
        let bare = matches!(self.peek(), Token::End | Token::Comma);
        if missing || bare {
            let operator = if missing {
                Operator::Missing
            } else {
                Operator::Exists
            };
            let values = BTreeSet::new();
            return Ok(Requirement {
                key,
                operator,
                values,
            });
        }
        let (operator, values) = match self.take() {
            Token::Word(word) if word == "in" => (Operator::In, self.values()?),
            Token::Word(word) if word == "notin" => (Operator::NotIn, self.values()?),
            Token::Equals | Token::DoubleEquals => (Operator::In, self.value()?),
            Token::NotEquals => (Operator::NotIn, self.value()?),
            Token::Greater => (Operator::Greater, self.value()?),
            Token::Less => (Operator::Less, self.value()?),
            other => {
                return Err(format!(
                    "found '{other}', expected: in, notin, =, ==, !=, gt, lt"
                ));
            }
        };
        check_values(&key, operator, &values)?;
        Ok(Requirement {
            key,
            operator,
            values,
        })
    }

    fn value(&mut self) -> Result<BTreeSet<String>, String> {
        match self.peek() {
            Token::End | Token::Comma => return Ok(BTreeSet::from([String::new()])),
            _ => {}
        }
        match self.take() {
            Token::Word(word) => Ok(BTreeSet::from([word])),
            other => Err(format!("found '{other}', expected: identifier")),
        }
    }

    /// `(a,b)`; between commas may be nothing, which is the empty value.
    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        match self.take() {
            Token::Open => {}
            other => return Err(format!("found '{other}' expected: '('")),
        }
        let mut found = BTreeSet::new();
        loop {
            match self.take() {
                Token::Word(word) => {
                    found.insert(word);
                    match self.take() {
                        Token::Comma => {}
                        Token::Close => return Ok(found),
                        other => return Err(format!("found '{other}', expected: ',' or ')'")),
                    }
                    if self.peek() == Token::Close {
                        self.take();
                        found.insert(String::new());
                        return Ok(found);
                    }
                }
                Token::Comma => {
                    found.insert(String::new());
                }
                Token::Close => {
                    found.insert(String::new());
                    return Ok(found);
                }
                other if found.is_empty() => {
                    return Err(format!("found '{other}', expected: ',', ')' or identifier"));
                }
                other => return Err(format!("found '{other}', expected: ',', or identifier")),
            }
        }
    }
}

fn check(text: &str, at: &str, wrong: Vec<String>) -> Result<(), String> {
    match wrong.first() {
        Some(why) => Err(format!("{at}: Invalid value: {}: {why}", Value::from(text))),
        None => Ok(()),
    }
}

fn check_values(key: &str, operator: Operator, values: &BTreeSet<String>) -> Result<(), String> {
    for (index, value) in values.iter().enumerate() {
        let number = matches!(operator, Operator::Greater | Operator::Less);
        if number && value.parse::<i64>().is_err() {
            let why = "for 'Gt', 'Lt' operators, the value must be an integer".to_owned();
            check(value, &format!("values[{index}]"), vec![why])?;
        }
        check(
            value,
            &format!("values[{index}][{key}]"),
            names::label_value(value),
        )?;
    }
    Ok(())
}
