//! What a command leaves behind: messages, a print file, or a question.

/// One message of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClMessage {
    /// Message id.
    pub id: String,
    /// 0–99.
    pub severity: u8,
    /// `ESCAPE`, `COMPLETION`, `DIAGNOSTIC`.
    pub kind: &'static str,
    /// First-level text.
    pub text: String,
}

/// What a command left behind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClAnswer {
    /// No escape message.
    pub ok: bool,
    /// Messages.
    pub messages: Vec<ClMessage>,
    /// Lines of its print file, or what it wrote to standard output.
    pub listing: Vec<String>,
    /// It has not ended: it asks, id and text, and goes on with the reply.
    pub inquiry: Option<(String, String)>,
}

/// Who runs a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller<'a> {
    /// Profile.
    pub user: &'a str,
    /// Qualified job.
    pub job: &'a str,
}

impl ClAnswer {
    /// A completion.
    pub(in crate::simulators::ibmi) fn done(id: &str, text: impl Into<String>) -> Self {
        Self {
            ok: true,
            messages: vec![ClMessage {
                id: id.to_owned(),
                severity: 0,
                kind: "COMPLETION",
                text: text.into(),
            }],
            ..Self::default()
        }
    }
    /// No message at all.
    pub(in crate::simulators::ibmi) fn quiet() -> Self {
        Self {
            ok: true,
            ..Self::default()
        }
    }
    /// A print file.
    pub(in crate::simulators::ibmi) fn listed(listing: Vec<String>) -> Self {
        Self {
            ok: true,
            listing,
            ..Self::default()
        }
    }
    /// A parameter value that the command does not take.
    pub(in crate::simulators::ibmi) fn not_valid(text: impl Into<String>) -> Self {
        let mut answer = Self::escape("CPF0006", "Errors occurred in command.");
        answer.messages.insert(0, diagnostic("CPD0084", text));
        answer
    }
    /// A diagnostic message, for an answer with several.
    pub(in crate::simulators::ibmi) fn diagnosed(id: &str, text: impl Into<String>) -> ClMessage {
        diagnostic(id, text)
    }
    /// A question to the operator: the command goes on with the reply.
    pub(in crate::simulators::ibmi) fn asking(id: &str, text: &str) -> Self {
        Self {
            inquiry: Some((id.to_owned(), text.to_owned())),
            ..Self::default()
        }
    }
    /// An escape message.
    pub fn escape(id: &str, text: impl Into<String>) -> Self {
        Self {
            ok: false,
            messages: vec![ClMessage {
                id: id.to_owned(),
                severity: 40,
                kind: "ESCAPE",
                text: text.into(),
            }],
            ..Self::default()
        }
    }
    /// A completion, for the neighbours.
    pub(in crate::simulators::ibmi) fn completed(id: &str, text: impl Into<String>) -> Self {
        Self::done(id, text)
    }
}

/// A diagnostic message.
pub(super) fn diagnostic(id: &str, text: impl Into<String>) -> ClMessage {
    ClMessage {
        id: id.to_owned(),
        severity: 30,
        kind: "DIAGNOSTIC",
        text: text.into(),
    }
}
