//! Which parts of `self` and `oldSelf` the rules of a place read. Only they are turned into CEL values: a run's status is large,
//! its rules look at four fields of it, and the interpreter copies what it selects from.

use kube_cel::cel::IdedExpr;
use kube_cel::cel::common::ast::{EntryExpr, Expr};
use std::collections::BTreeMap;

/// What is read of a value.
#[derive(Debug, PartialEq, Eq)]
pub enum Reads {
    /// Everything.
    All,
    /// These fields, by their names in CEL.
    Fields(BTreeMap<String, Reads>),
}

impl Default for Reads {
    fn default() -> Self {
        Self::Fields(BTreeMap::new())
    }
}

impl Reads {
    /// What is read of a field; none = nothing.
    pub fn of(&self, field: &str) -> Option<&Self> {
        match self {
            Self::All => Some(&Self::All),
            Self::Fields(fields) => fields.get(field),
        }
    }

    /// Adds what an expression reads.
    pub fn add(&mut self, expression: &IdedExpr) {
        if let Some(chain) = chain(expression) {
            self.add_chain(&chain);
            return;
        }
        match &expression.expr {
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
            Expr::Select(select) => self.add(&select.operand),
            Expr::Call(call) => {
                call.target.iter().for_each(|t| self.add(t));
                call.args.iter().for_each(|a| self.add(a));
            }
            Expr::List(list) => list.elements.iter().for_each(|e| self.add(e)),
            Expr::Map(map) => map.entries.iter().for_each(|e| self.add_entry(&e.expr)),
            Expr::Struct(fields) => fields.entries.iter().for_each(|e| self.add_entry(&e.expr)),
            Expr::Comprehension(loop_) => {
                for part in [
                    &loop_.iter_range,
                    &loop_.accu_init,
                    &loop_.loop_cond,
                    &loop_.loop_step,
                    &loop_.result,
                ] {
                    self.add(part);
                }
            }
        }
    }

    fn add_entry(&mut self, entry: &EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.add(&field.value),
            EntryExpr::MapEntry(entry) => {
                self.add(&entry.key);
                self.add(&entry.value);
            }
        }
    }

    fn add_chain(&mut self, chain: &[&str]) {
        let Self::Fields(fields) = self else {
            return;
        };
        match chain {
            [] => *self = Self::All,
            [field, rest @ ..] => fields
                .entry((*field).to_owned())
                .or_default()
                .add_chain(rest),
        }
    }
}

/// `self.a.b` as `a`, `b`; none = not that.
fn chain(expression: &IdedExpr) -> Option<Vec<&str>> {
    match &expression.expr {
        Expr::Ident(name) if name == "self" || name == "oldSelf" => Some(Vec::new()),
        Expr::Select(select) => {
            let mut fields = chain(&select.operand)?;
            fields.push(&select.field);
            Some(fields)
        }
        Expr::Unspecified
        | Expr::Ident(_)
        | Expr::Literal(_)
        | Expr::Call(_)
        | Expr::List(_)
        | Expr::Map(_)
        | Expr::Struct(_)
        | Expr::Comprehension(_) => None,
    }
}
