//! What an error of the API server means to a pass: not permitted, or lost.

use crate::engine::ports::StoreError;
use kube::core::Status;

/// The error as the engine knows it. A refusal for want of a permission has words of its own: an API server that answers
/// is not one that is away, and only a person can help.
pub fn store_error(error: kube::Error) -> StoreError {
    match error {
        kube::Error::Api(status) => match missing_permission(&status) {
            Some(what) => StoreError::Forbidden(what),
            None => StoreError::Lost(format!("{} ({})", status.message, status.code)),
        },
        other => StoreError::Lost(other.to_string()),
    }
}

/// Who lacks which permission, where a 403 says so. One of a quota, of an admission policy or of a namespace that goes away
/// does not: no role would help.
fn missing_permission(status: &Status) -> Option<String> {
    if !status.is_forbidden() {
        return None;
    }
    let (_, said) = status.message.split_once("User \"")?;
    let (user, said) = said.split_once("\" cannot ")?;
    let (verb, said) = said.split_once(" resource \"")?;
    let (resource, said) = said.split_once('"')?;
    let quoted = |before: &str| {
        let (_, rest) = said.split_once(before)?;
        rest.split('"').next().filter(|word| !word.is_empty())
    };
    let group = quoted("API group \"").map_or(String::new(), |group| format!(".{group}"));
    let place = quoted("namespace \"").map_or("in the cluster".to_owned(), |namespace| {
        format!("in namespace {namespace}")
    });
    let who = match user
        .strip_prefix("system:serviceaccount:")
        .and_then(|account| account.split_once(':'))
    {
        Some((namespace, name)) => format!("ServiceAccount {namespace}/{name}"),
        None => format!("user {user}"),
    };
    Some(format!(
        "{who} may not {verb} {resource}{group} {place}; give it a role with verb {verb} on {resource} there (the chart's has it), the operator goes on by itself"
    ))
}

/// The error in words, for a caller that only tells of it.
pub fn told(error: kube::Error) -> String {
    match store_error(error) {
        StoreError::Forbidden(what) => format!("a permission is missing: {what}"),
        StoreError::Lost(text) => text,
        other @ (StoreError::Conflict | StoreError::Gone) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16, reason: &str, message: &str) -> StoreError {
        let status = Status::failure(message, reason).with_code(code);
        store_error(kube::Error::Api(status.boxed()))
    }

    #[test]
    fn a_missing_permission_is_named_with_verb_resource_and_account() {
        let said = refused(
            403,
            "Forbidden",
            r#"cloneruns.ibmiclone.dev "nightly-1" is forbidden: User "system:serviceaccount:clone-operator:op" cannot patch resource "cloneruns/status" in API group "ibmiclone.dev" in the namespace "ibmi""#,
        );
        let StoreError::Forbidden(said) = said else {
            panic!("{said:?}");
        };
        assert!(
            said.starts_with("ServiceAccount clone-operator/op may not patch cloneruns/status.ibmiclone.dev in namespace ibmi; "),
            "{said}"
        );
        let StoreError::Forbidden(said) = refused(
            403,
            "Forbidden",
            r#"configmaps is forbidden: User "jane" cannot list resource "configmaps" in API group "" at the cluster scope"#,
        ) else {
            panic!("a permission is missing");
        };
        assert!(
            said.starts_with("user jane may not list configmaps in the cluster; "),
            "{said}"
        );
    }

    #[test]
    fn what_no_role_would_cure_is_told_in_the_servers_words() {
        for message in [
            r#"configmaps "log" is forbidden: exceeded quota: small, requested: configmaps=1, used: configmaps=1, limited: configmaps=1"#,
            r#"cloneruns "x" is forbidden: unable to create new content in namespace ibmi because it is being terminated"#,
        ] {
            let said = refused(403, "Forbidden", message);
            assert_eq!(said, StoreError::Lost(format!("{message} (403)")));
        }
    }
}
