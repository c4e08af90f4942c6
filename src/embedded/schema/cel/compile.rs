//! Rules of one place, compiled once.

use super::reads::Reads;
use crate::embedded::schema::node::{Additional, Node};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, ValidationRule,
};
use kube_cel::cel::Program;

/// How a failed rule is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// `Invalid value`.
    Invalid,
    /// `Forbidden`.
    Forbidden,
    /// `Required value`.
    Required,
    /// `Duplicate value`.
    Duplicate,
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// As written.
    #[cfg(test)]
    pub source: String,
    /// Is true for a good value.
    pub program: Program,
    /// Looks back: only where there is something to look back at, and never forgiven.
    pub looks_back: bool,
    /// Looks back at an optional: also where there is nothing.
    pub optional_old: bool,
    /// What failed: the message, or the rule itself.
    pub words: String,
    /// The message, or that the rule failed.
    pub message: String,
    /// Computes the message.
    pub message_program: Option<Program>,
    /// Below this place, as `.a.b`; empty = this place.
    pub field: String,
    /// How a failure is reported.
    pub reason: Reason,
}

/// All rules of one place.
#[derive(Debug, Default)]
pub struct Rules {
    /// In the order of the schema.
    pub rules: Vec<Rule>,
    /// What they read.
    pub reads: Reads,
}

impl Rules {
    /// Compiles the rules of `schema`; `node` is its place with all that is below.
    ///
    /// # Errors
    /// A rule that does not parse, or a field path that leads nowhere.
    pub fn new(schema: &JSONSchemaProps, node: &Node, at: &str) -> Result<Self, String> {
        let mut all = Self::default();
        for rule in schema.x_kubernetes_validations.iter().flatten() {
            let compiled =
                Rule::new(rule, node).map_err(|e| format!("{at}: {}: {e}", rule.rule))?;
            all.reads.add(compiled.program.expression());
            if let Some(message) = &compiled.message_program {
                all.reads.add(message.expression());
            }
            all.rules.push(compiled);
        }
        Ok(all)
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl Rule {
    fn new(rule: &ValidationRule, node: &Node) -> Result<Self, String> {
        let program = |text: &str| Program::compile(text).map_err(|e| e.to_string());
        let compiled = program(&rule.rule)?;
        let looks_back = compiled.references().has_variable("oldSelf");
        let message = rule.message.as_deref().unwrap_or_default().trim();
        let words = match message {
            "" => rule.rule.trim(),
            text => text,
        };
        let expression = rule.message_expression.as_deref();
        let expression = expression.filter(|e| !e.is_empty());
        Ok(Self {
            #[cfg(test)]
            source: rule.rule.clone(),
            program: compiled,
            looks_back,
            optional_old: rule.optional_old_self == Some(true),
            message: match message {
                "" => format!("failed rule: {words}"),
                text => text.to_owned(),
            },
            words: words.to_owned(),
            message_program: expression.map(program).transpose()?,
            field: field(rule.field_path.as_deref().unwrap_or_default(), node)?,
            reason: match rule.reason.as_deref() {
                Some("FieldValueForbidden") => Reason::Forbidden,
                Some("FieldValueRequired") => Reason::Required,
                Some("FieldValueDuplicate") => Reason::Duplicate,
                Some("FieldValueInvalid") | None => Reason::Invalid,
                Some(other) => return Err(format!("{other} is no reason")),
            },
        })
    }
}

/// `.a['b']` as the real server writes it in a cause.
fn field(path: &str, node: &Node) -> Result<String, String> {
    let mut at = node;
    let mut text = String::new();
    let mut rest = path;
    while !rest.is_empty() {
        let (name, behind) = if let Some(quoted) = rest.strip_prefix("['") {
            quoted.split_once("']").ok_or("fieldPath does not end")?
        } else {
            let plain = rest
                .strip_prefix('.')
                .ok_or("fieldPath begins with a dot")?;
            plain.split_at(plain.find(['.', '[']).unwrap_or(plain.len()))
        };
        match (at.properties.get(name), &at.additional) {
            (Some(property), _) => {
                text.push('.');
                text.push_str(name);
                at = &property.node;
            }
            (None, Additional::Of(below)) => {
                text.push_str(&format!("[{name}]"));
                at = below;
            }
            (None, Additional::Unsaid | Additional::Any | Additional::Forbidden) => {
                return Err(format!("fieldPath {path} does not refer to a valid field"));
            }
        }
        rest = behind;
    }
    Ok(text)
}

/// Words that are no names in CEL.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// A field's name as CEL can write it.
pub fn escaped(name: &str) -> String {
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    name.replace("__", "__underscores__")
        .replace('.', "__dot__")
        .replace('-', "__dash__")
        .replace('/', "__slash__")
}
