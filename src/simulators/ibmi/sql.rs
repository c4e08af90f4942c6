//! SQL services: a small evaluator for single-table queries. What it does not understand is refused with an SQL error,
//! never answered with nothing.
//!
//! Understood: `SELECT` of columns, `COUNT(*)`, literals, `TRIM`, `VARCHAR`, `HEX` (of a binary column, which the tables hold as hexadecimal text), `VARCHAR_FORMAT`, `COALESCE`, `MAX`, `MIN`,
//! `JSON_OBJECT`, `CASE WHEN … THEN … ELSE … END`, scalar subselects; `FROM schema.view`, `TABLE(schema.function(arguments))` or a subselect; `WHERE` with `AND`, `OR`, `NOT`,
//! comparisons, `LIKE`, `IN`, `IS NULL`; `ORDER BY`; `FETCH FIRST`.

mod tokens;

use tokens::{Token, tokens};

mod evaluate;
mod expressions;

use evaluate::{compare, holds, project, value};

use super::long::Wanted;
use super::tables;
use crate::simulators::world::World;
use std::collections::BTreeMap;
use std::ops::Range;

/// One row: column → value.
pub type SqlRow = BTreeMap<String, Option<String>>;

/// A refused statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// SQLSTATE.
    pub state: &'static str,
    /// SQLCODE.
    pub code: i32,
    /// Text.
    pub text: String,
}

impl SqlError {
    fn syntax(text: impl Into<String>) -> Self {
        Self {
            state: "42601",
            code: -104,
            text: text.into(),
        }
    }
    pub(super) fn no_object(name: &str) -> Self {
        Self {
            state: "42704",
            code: -204,
            text: format!("{name} in *LIBL type *FILE not found."),
        }
    }
}

/// Columns in order, and the rows.
pub type Answer = (Vec<String>, Vec<SqlRow>);

/// Runs one query for a user.
///
/// # Errors
/// What is not understood, an unknown table or column.
pub fn query(world: &World, partition: &str, user: &str, text: &str) -> Result<Answer, SqlError> {
    answer(world, partition, user, text, Wanted::of(text))
}

/// As [`query`], of the messages of a job log at these places only.
///
/// # Errors
/// As [`query`].
pub fn slice(
    world: &World,
    partition: &str,
    user: &str,
    text: &str,
    wanted: Range<usize>,
) -> Result<Answer, SqlError> {
    answer(world, partition, user, text, Wanted::Places(wanted))
}

fn answer(
    world: &World,
    partition: &str,
    user: &str,
    text: &str,
    wanted: Wanted,
) -> Result<Answer, SqlError> {
    let tokens = tokens(text)?;
    let mut parser = Parser {
        world,
        partition,
        user,
        wanted,
        tokens,
        at: 0,
    };
    let answer = parser.select()?;
    match parser.peek() {
        None => Ok(answer),
        Some(t) => Err(SqlError::syntax(format!(
            "Token {} was not valid.",
            t.text()
        ))),
    }
}

#[derive(Debug, Clone)]
enum Expression {
    Column(String),
    Value(Option<String>),
    Format(Box<Expression>, String),
    Trim(Box<Expression>),
    Coalesce(Vec<Expression>),
    Count,
    Extreme(bool, Box<Expression>),
    Concat(Box<Expression>, Box<Expression>),
    Json(Vec<(String, Expression)>, bool),
    Case(Vec<(Condition, Expression)>, Option<Box<Expression>>),
}

#[derive(Debug, Clone)]
enum Condition {
    Compare(Expression, String, Expression),
    Like(Expression, Expression, bool),
    In(Expression, Vec<Expression>, bool),
    Null(Expression, bool),
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
}

struct Parser<'w> {
    world: &'w World,
    partition: &'w str,
    user: &'w str,
    wanted: Wanted,
    tokens: Vec<Token>,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }
    fn next(&mut self) -> Result<Token, SqlError> {
        let token = self
            .peek()
            .cloned()
            .ok_or_else(|| SqlError::syntax("Statement ended too early."))?;
        self.at += 1;
        Ok(token)
    }
    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(w)) if w == word)
    }
    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(s)) if s == sign)
    }
    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }
    fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.at += usize::from(found);
        found
    }
    fn need_word(&mut self, word: &str) -> Result<(), SqlError> {
        if self.take_word(word) {
            return Ok(());
        }
        Err(SqlError::syntax(format!("{word} expected.")))
    }
    fn need_sign(&mut self, sign: &str) -> Result<(), SqlError> {
        if self.take_sign(sign) {
            return Ok(());
        }
        Err(SqlError::syntax(format!("{sign} expected.")))
    }

    fn select(&mut self) -> Result<Answer, SqlError> {
        self.need_word("SELECT")?;
        let mut items: Vec<(String, Expression)> = Vec::new();
        let everything = self.take_sign("*");
        loop {
            if everything {
                break;
            }
            let expression = self.expression()?;
            let mut name = match &expression {
                Expression::Column(c) => c.clone(),
                _ => format!("{:05}", items.len() + 1),
            };
            if self.take_word("AS") {
                name = self.next()?.text().to_owned();
            }
            items.push((name, expression));
            if !self.take_sign(",") {
                break;
            }
        }
        self.need_word("FROM")?;
        let (columns, mut rows) = self.source()?;
        if everything {
            items = columns
                .iter()
                .map(|c| (c.clone(), Expression::Column(c.clone())))
                .collect();
        }
        if self.take_word("WHERE") {
            let condition = self.condition()?;
            let mut kept = Vec::new();
            for row in rows {
                if holds(&condition, &row, &columns)? {
                    kept.push(row);
                }
            }
            rows = kept;
        }
        if self.take_word("ORDER") {
            self.need_word("BY")?;
            self.order(&mut rows, &columns)?;
        }
        if self.take_word("FETCH") {
            let _ = self.take_word("FIRST") || self.take_word("NEXT");
            let count = match self.peek() {
                Some(Token::Number(n)) => {
                    let n = n.parse().unwrap_or(1);
                    self.at += 1;
                    n
                }
                _ => 1,
            };
            let _ = self.take_word("ROW") || self.take_word("ROWS");
            self.need_word("ONLY")?;
            rows.truncate(count);
        }
        project(&items, &rows, &columns)
    }

    fn order(&mut self, rows: &mut [SqlRow], columns: &[String]) -> Result<(), SqlError> {
        let mut keys = Vec::new();
        loop {
            if self.take_word("ORDER") {
                // `ORDER BY ORDER OF Q`: the subselect's rows are in their order already.
                self.need_word("OF")?;
                self.next()?;
                return Ok(());
            }
            let expression = self.expression()?;
            let descending = self.take_word("DESC");
            let _ = self.take_word("ASC");
            keys.push((expression, descending));
            if !self.take_sign(",") {
                break;
            }
        }
        for (expression, descending) in keys.iter().rev() {
            for row in rows.iter() {
                value(expression, row, columns)?;
            }
            rows.sort_by(|a, b| {
                let (a, b) = (
                    value(expression, a, columns).unwrap_or_default(),
                    value(expression, b, columns).unwrap_or_default(),
                );
                let order = compare(&a.unwrap_or_default(), &b.unwrap_or_default());
                if *descending { order.reverse() } else { order }
            });
        }
        Ok(())
    }

    fn source(&mut self) -> Result<Answer, SqlError> {
        let answer = if self.take_sign("(") {
            let inner = self.select()?;
            self.need_sign(")")?;
            inner
        } else if self.take_word("TABLE") {
            self.need_sign("(")?;
            let name = self.next()?.text().to_owned();
            self.need_sign("(")?;
            let mut arguments = BTreeMap::new();
            while !self.is_sign(")") {
                let named =
                    matches!(self.tokens.get(self.at + 1), Some(Token::Sign(s)) if s == "=>");
                let key = if named {
                    let key = self.next()?.text().to_owned();
                    self.at += 1;
                    key
                } else {
                    format!("{}", arguments.len() + 1)
                };
                let argument = self.expression()?;
                let text = value(&argument, &SqlRow::new(), &[])?;
                arguments.insert(key, text.unwrap_or_default());
                if !self.take_sign(",") {
                    break;
                }
            }
            self.need_sign(")")?;
            self.need_sign(")")?;
            let (world, partition, user) = (self.world, self.partition, self.user);
            tables::function(world, partition, user, &name, &arguments, &self.wanted)?
        } else {
            let name = self.next()?.text().to_owned();
            tables::view(self.world, self.partition, self.user, &name)?
        };
        let _ = self.take_word("AS");
        let reserved = ["WHERE", "ORDER", "FETCH", "UNION"];
        if let Some(Token::Word(w)) = self.peek()
            && !reserved.contains(&w.as_str())
        {
            self.at += 1;
        }
        Ok(answer)
    }
}
