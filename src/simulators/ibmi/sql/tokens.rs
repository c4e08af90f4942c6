//! Words of a statement.

use super::*;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Word(String),
    Text(String),
    Number(String),
    Sign(String),
}

impl Token {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Word(t) | Self::Text(t) | Self::Number(t) | Self::Sign(t) => t,
        }
    }
}

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, SqlError> {
    let mut out = Vec::new();
    let c: Vec<char> = text.chars().collect();
    let mut i = 0;
    while i < c.len() {
        let start = i;
        match c[i] {
            x if x.is_whitespace() => i += 1,
            '\'' => {
                let mut value = String::new();
                i += 1;
                loop {
                    match (c.get(i), c.get(i + 1)) {
                        (Some('\''), Some('\'')) => {
                            value.push('\'');
                            i += 2;
                        }
                        (Some('\''), _) => break,
                        (Some(x), _) => {
                            value.push(*x);
                            i += 1;
                        }
                        (None, _) => return Err(SqlError::syntax("String is not terminated.")),
                    }
                }
                i += 1;
                out.push(Token::Text(value));
            }
            x if x.is_ascii_digit() => {
                while i < c.len() && (c[i].is_ascii_digit() || c[i] == '.') {
                    i += 1;
                }
                out.push(Token::Number(c[start..i].iter().collect()));
            }
            x if x.is_ascii_alphabetic() || "_$#@".contains(x) => {
                while i < c.len() && (c[i].is_ascii_alphanumeric() || "_$#@.".contains(c[i])) {
                    i += 1;
                }
                let word: String = c[start..i].iter().collect();
                out.push(Token::Word(word.to_ascii_uppercase()));
            }
            x => {
                let two: String = c[i..(i + 2).min(c.len())].iter().collect();
                if ["=>", "<>", ">=", "<=", "||"].contains(&two.as_str()) {
                    i += 2;
                    out.push(Token::Sign(two));
                } else if "(),=<>*-+:".contains(x) {
                    i += 1;
                    out.push(Token::Sign(x.to_string()));
                } else {
                    return Err(SqlError::syntax(format!("Token {x} was not valid.")));
                }
            }
        }
    }
    Ok(out)
}
