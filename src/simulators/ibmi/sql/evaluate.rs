//! What an expression or condition gives for a row.

use super::*;

pub(super) fn value(
    expression: &Expression,
    row: &SqlRow,
    columns: &[String],
) -> Result<Option<String>, SqlError> {
    Ok(match expression {
        Expression::Value(v) => v.clone(),
        Expression::Column(c) if columns.contains(c) => row.get(c).cloned().flatten(),
        Expression::Column(c) => {
            return Err(SqlError {
                state: "42703",
                code: -206,
                text: format!("Column {c} not in specified tables."),
            });
        }
        Expression::Trim(e) => value(e, row, columns)?.map(|t| t.trim().to_owned()),
        Expression::Format(e, format) => {
            value(e, row, columns)?.and_then(|t| tables::formatted(&t, format))
        }
        Expression::Coalesce(list) => {
            let mut found = None;
            for e in list {
                found = found.or(value(e, row, columns)?);
            }
            found
        }
        Expression::Concat(a, b) => match (value(a, row, columns)?, value(b, row, columns)?) {
            (Some(a), Some(b)) => Some(a + &b),
            _ => None,
        },
        Expression::Json(items, absent) => {
            let mut object = serde_json::Map::new();
            for (key, e) in items {
                let text = value(e, row, columns)?;
                if text.is_some() || !absent {
                    object.insert(key.clone(), text.into());
                }
            }
            Some(serde_json::Value::Object(object).to_string())
        }
        Expression::Case(arms, otherwise) => {
            for (condition, then) in arms {
                // Both are looked at for columns that do not exist.
                let found = value(then, row, columns)?;
                if holds(condition, row, columns)? {
                    return Ok(found);
                }
            }
            match otherwise {
                Some(e) => value(e, row, columns)?,
                None => None,
            }
        }
        Expression::Count | Expression::Extreme(..) => {
            return Err(SqlError::syntax("aggregate is not allowed here"));
        }
    })
}

pub(super) fn project(
    items: &[(String, Expression)],
    rows: &[SqlRow],
    columns: &[String],
) -> Result<Answer, SqlError> {
    let names: Vec<String> = items.iter().map(|(n, _)| n.clone()).collect();
    let aggregate = items
        .iter()
        .any(|(_, e)| matches!(e, Expression::Count | Expression::Extreme(..)));
    if aggregate {
        let mut row = SqlRow::new();
        for (name, e) in items {
            let text = match e {
                Expression::Count => Some(rows.len().to_string()),
                Expression::Extreme(max, inner) => {
                    let mut all = Vec::new();
                    for r in rows {
                        all.extend(value(inner, r, columns)?);
                    }
                    all.sort_by(|a, b| compare(a, b));
                    if *max {
                        all.pop()
                    } else {
                        all.into_iter().next()
                    }
                }
                other => value(other, &SqlRow::new(), columns)?,
            };
            row.insert(name.clone(), text);
        }
        return Ok((names, vec![row]));
    }
    // Columns are checked even when there is no row to read them from.
    for (_, e) in items {
        value(e, &SqlRow::new(), columns)?;
    }
    let mut out = Vec::new();
    for r in rows {
        let mut row = SqlRow::new();
        for (name, e) in items {
            row.insert(name.clone(), value(e, r, columns)?);
        }
        out.push(row);
    }
    Ok((names, out))
}

pub(super) fn compare(a: &str, b: &str) -> std::cmp::Ordering {
    // No exponents: `0E40` is a key, not a number.
    let number = |text: &str| {
        let plain = text
            .bytes()
            .all(|b| b.is_ascii_digit() || b"+-.".contains(&b));
        text.parse::<f64>().ok().filter(|_| plain)
    };
    match (number(a.trim()), number(b.trim())) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => a.trim_end().cmp(b.trim_end()),
    }
}

pub(super) fn holds(
    condition: &Condition,
    row: &SqlRow,
    columns: &[String],
) -> Result<bool, SqlError> {
    Ok(match condition {
        Condition::All(list) => {
            let mut all = true;
            for c in list {
                all &= holds(c, row, columns)?;
            }
            all
        }
        Condition::Any(list) => {
            let mut any = false;
            for c in list {
                any |= holds(c, row, columns)?;
            }
            any
        }
        Condition::Not(c) => !holds(c, row, columns)?,
        Condition::Null(e, wanted) => value(e, row, columns)?.is_none() == *wanted,
        Condition::Compare(a, sign, b) => {
            match (value(a, row, columns)?, value(b, row, columns)?) {
                (Some(a), Some(b)) => {
                    let order = compare(&a, &b);
                    match sign.as_str() {
                        "=" => order.is_eq(),
                        "<>" => order.is_ne(),
                        "<" => order.is_lt(),
                        ">" => order.is_gt(),
                        "<=" => order.is_le(),
                        _ => order.is_ge(),
                    }
                }
                _ => false,
            }
        }
        Condition::Like(e, pattern, wanted) => {
            match (value(e, row, columns)?, value(pattern, row, columns)?) {
                (Some(t), Some(p)) => like(&t, &p) == *wanted,
                _ => false,
            }
        }
        Condition::In(e, list, wanted) => match value(e, row, columns)? {
            None => false,
            Some(t) => {
                let mut found = false;
                for x in list {
                    found |= value(x, row, columns)?.is_some_and(|x| compare(&x, &t).is_eq());
                }
                found == *wanted
            }
        },
    })
}

fn like(text: &str, pattern: &str) -> bool {
    fn matches(text: &[char], pattern: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('%', rest)) => (0..=text.len()).any(|n| matches(&text[n..], rest)),
            Some(('_', rest)) => !text.is_empty() && matches(&text[1..], rest),
            Some((c, rest)) => text.first() == Some(c) && matches(&text[1..], rest),
        }
    }
    let (text, pattern): (Vec<char>, Vec<char>) =
        (text.chars().collect(), pattern.chars().collect());
    matches(&text, &pattern)
}
