//! Conditions and expressions of a statement.

use super::*;

impl Parser<'_> {
    pub(super) fn condition(&mut self) -> Result<Condition, SqlError> {
        let mut any = vec![self.conjunction()?];
        while self.take_word("OR") {
            any.push(self.conjunction()?);
        }
        Ok(Condition::Any(any))
    }

    fn conjunction(&mut self) -> Result<Condition, SqlError> {
        let mut all = vec![self.predicate()?];
        while self.take_word("AND") {
            all.push(self.predicate()?);
        }
        Ok(Condition::All(all))
    }

    fn predicate(&mut self) -> Result<Condition, SqlError> {
        if self.take_word("NOT") {
            return Ok(Condition::Not(Box::new(self.predicate()?)));
        }
        if self.is_sign("(")
            && !matches!(self.tokens.get(self.at + 1), Some(Token::Word(w)) if w == "SELECT")
        {
            self.at += 1;
            let inner = self.condition()?;
            self.need_sign(")")?;
            return Ok(inner);
        }
        let left = self.expression()?;
        if self.take_word("IS") {
            let not = self.take_word("NOT");
            self.need_word("NULL")?;
            return Ok(Condition::Null(left, !not));
        }
        let not = self.take_word("NOT");
        if self.take_word("LIKE") {
            let pattern = self.expression()?;
            return Ok(Condition::Like(left, pattern, !not));
        }
        if self.take_word("IN") {
            self.need_sign("(")?;
            let mut list = vec![self.expression()?];
            while self.take_sign(",") {
                list.push(self.expression()?);
            }
            self.need_sign(")")?;
            return Ok(Condition::In(left, list, !not));
        }
        match self.next()? {
            Token::Sign(s) if ["=", "<>", "<", ">", "<=", ">="].contains(&s.as_str()) => {
                let right = self.expression()?;
                Ok(Condition::Compare(left, s, right))
            }
            other => Err(SqlError::syntax(format!(
                "Token {} was not valid.",
                other.text()
            ))),
        }
    }

    pub(super) fn expression(&mut self) -> Result<Expression, SqlError> {
        let mut left = self.term()?;
        loop {
            if self.take_word("CONCAT") || self.take_sign("||") {
                let right = self.term()?;
                left = Expression::Concat(Box::new(left), Box::new(right));
            } else if self.is_sign("-")
                && matches!(self.tokens.get(self.at + 1), Some(Token::Word(w)) if w == "CURRENT")
            {
                // `- CURRENT TIMEZONE`: the simulated systems run on UTC.
                self.at += 2;
                self.need_word("TIMEZONE")?;
            } else if self.is_sign("-") {
                self.at += 1;
                let days: i64 = self
                    .next()?
                    .text()
                    .parse()
                    .map_err(|_| SqlError::syntax("number expected"))?;
                let unit = match self.next()?.text() {
                    "DAYS" | "DAY" => 86_400,
                    "HOURS" | "HOUR" => 3600,
                    "MINUTES" | "MINUTE" => 60,
                    _ => return Err(SqlError::syntax("duration expected")),
                };
                let at = value(&left, &SqlRow::new(), &[])?.unwrap_or_default();
                left = Expression::Value(tables::shifted(&at, -days * unit));
            } else {
                return Ok(left);
            }
        }
    }

    fn term(&mut self) -> Result<Expression, SqlError> {
        if self.take_sign("(") {
            if self.is_word("SELECT") {
                let (columns, rows) = self.select()?;
                self.need_sign(")")?;
                let first = columns.first().cloned().unwrap_or_default();
                let text = rows.first().and_then(|r| r.get(&first).cloned().flatten());
                return Ok(Expression::Value(text));
            }
            let inner = self.expression()?;
            self.need_sign(")")?;
            return Ok(inner);
        }
        match self.next()? {
            Token::Text(t) | Token::Number(t) => Ok(Expression::Value(Some(t))),
            Token::Word(w) if self.is_sign("(") => self.function(&w),
            Token::Word(w) => self.named(&w),
            Token::Sign(s) => Err(SqlError::syntax(format!("Token {s} was not valid."))),
        }
    }

    fn named(&mut self, word: &str) -> Result<Expression, SqlError> {
        match word {
            "CURRENT" => {
                self.need_word("TIMESTAMP")?;
                Ok(Expression::Value(Some(tables::now(
                    self.world,
                    self.partition,
                ))))
            }
            "TIMESTAMP" => match self.next()? {
                Token::Text(t) => Ok(Expression::Value(Some(t))),
                _ => Err(SqlError::syntax("timestamp expected")),
            },
            "NULL" => Ok(Expression::Value(None)),
            "CASE" => self.case(),
            name => Ok(Expression::Column(
                name.rsplit('.').next().unwrap_or(name).to_owned(),
            )),
        }
    }

    fn case(&mut self) -> Result<Expression, SqlError> {
        let mut arms = Vec::new();
        while self.take_word("WHEN") {
            let condition = self.condition()?;
            self.need_word("THEN")?;
            arms.push((condition, self.expression()?));
        }
        let otherwise = match self.take_word("ELSE") {
            true => Some(Box::new(self.expression()?)),
            false => None,
        };
        self.need_word("END")?;
        if arms.is_empty() {
            return Err(SqlError::syntax("WHEN expected."));
        }
        Ok(Expression::Case(arms, otherwise))
    }

    fn function(&mut self, name: &str) -> Result<Expression, SqlError> {
        self.need_sign("(")?;
        if name == "COUNT" {
            self.need_sign("*")?;
            self.need_sign(")")?;
            return Ok(Expression::Count);
        }
        if name == "JSON_OBJECT" {
            return self.json_object();
        }
        let mut arguments = vec![self.expression()?];
        while self.take_sign(",") {
            arguments.push(self.expression()?);
        }
        self.need_sign(")")?;
        let first = Box::new(arguments[0].clone());
        Ok(match name {
            "TRIM" => Expression::Trim(first),
            "TIMESTAMP" => timestamp(*first)?,
            "VARCHAR" | "CHAR" | "HEX" | "DECIMAL" | "INTEGER" => *first,
            "COALESCE" | "IFNULL" => Expression::Coalesce(arguments),
            "MAX" | "MIN" => Expression::Extreme(name == "MAX", first),
            "VARCHAR_FORMAT" => match arguments.get(1) {
                Some(Expression::Value(Some(format))) => Expression::Format(first, format.clone()),
                _ => return Err(SqlError::syntax("VARCHAR_FORMAT needs a literal format")),
            },
            other => {
                return Err(SqlError {
                    state: "42884",
                    code: -440,
                    text: format!("Routine {other} in *N not found with specified parameters."),
                });
            }
        })
    }
}

/// A literal in either form of a timestamp is the same instant: it must compare with what the tables print.
fn timestamp(of: Expression) -> Result<Expression, SqlError> {
    let Expression::Value(Some(text)) = of else {
        return Ok(of);
    };
    match tables::shifted(&text, 0) {
        Some(text) => Ok(Expression::Value(Some(text))),
        None => Err(SqlError {
            state: "22007",
            code: -180,
            text: format!("Syntax of date, time, or timestamp value {text} not valid."),
        }),
    }
}

impl Parser<'_> {
    fn json_object(&mut self) -> Result<Expression, SqlError> {
        let mut items = Vec::new();
        loop {
            let _ = self.take_word("KEY");
            let Token::Text(key) = self.next()? else {
                return Err(SqlError::syntax("JSON key expected"));
            };
            if !self.take_sign(":") {
                self.need_word("VALUE")?;
            }
            items.push((key, self.expression()?));
            if !self.take_sign(",") {
                break;
            }
        }
        let absent = self.take_word("ABSENT");
        if absent || self.take_word("NULL") {
            self.need_word("ON")?;
            self.need_word("NULL")?;
        }
        if self.take_word("RETURNING") {
            self.next()?;
            if self.take_sign("(") {
                self.next()?;
                self.need_sign(")")?;
            }
        }
        self.need_sign(")")?;
        Ok(Expression::Json(items, absent))
    }
}
