//! From a path to what is asked for. What is not served is answered as the real server does, which has two ways of saying so.

use std::sync::Arc;

use axum::http::Method;

use super::texts;
use crate::embedded::kind::Kind;
use crate::embedded::refusal::Refusal;

/// What a path leads to.
#[derive(Debug, Clone)]
pub enum Route {
    /// `/`.
    Index,
    /// `/healthz` and its like.
    Health,
    /// `/version`.
    Version,
    /// `/api`.
    CoreVersions,
    /// `/apis`.
    Groups,
    /// `/apis/<group>`.
    Group(String),
    /// `/api/v1`, `/apis/<group>/<version>`.
    Resources {
        /// Empty for the core group.
        group: String,
        /// Like `v1`.
        version: String,
    },
    /// `/openapi/v3`.
    OpenApiIndex,
    /// `/openapi/v3/<path of a group>`.
    OpenApi(String),
    /// Reviews, which are answered and not stored: their plural.
    Review(&'static str),
    /// Objects.
    Objects(Place),
}

/// A place where objects are.
#[derive(Debug, Clone)]
pub struct Place {
    /// Of this kind.
    pub kind: Arc<Kind>,
    /// None: in all namespaces, or in none.
    pub namespace: Option<String>,
    /// None: all of them.
    pub name: Option<String>,
    /// Which part of it.
    pub part: Part,
    /// By which path.
    pub path: Path,
}

/// Which of the two paths to the same objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Path {
    /// The usual one.
    Usual,
    /// The older one of watches, `/api/v1/watch/…`.
    Watch,
}

/// What of an object a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Object,
    /// `status`.
    Status,
    /// `finalize` of a namespace.
    Finalize,
}

impl Part {
    fn of(subresource: Option<&str>) -> Self {
        match subresource {
            Some("status") => Self::Status,
            Some("finalize") => Self::Finalize,
            Some(_) | None => Self::Object,
        }
    }

    /// Whether the objects of a kind have it.
    pub fn is_of(self, kind: &Kind) -> bool {
        match self {
            Self::Object => true,
            Self::Status => kind.status,
            Self::Finalize => kind.group.is_empty() && kind.plural == "namespaces",
        }
    }
}

/// Where a path leads nowhere.
#[derive(Debug, Clone, PartialEq)]
pub enum Nowhere {
    /// `404 page not found`, as text.
    Page,
    /// A Status.
    Refused(Box<Refusal>),
}

/// Groups that Kubernetes has built in answer with a Status, those of definitions with text.
const REVIEWS: [(&str, &str); 3] = [
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authentication.k8s.io", "selfsubjectreviews"),
];

/// Groups of reviews, with the plural and kind of each.
pub fn reviews(group: &str) -> Vec<&'static str> {
    let of = REVIEWS.iter().filter(|(g, _)| *g == group);
    of.map(|(_, plural)| *plural).collect()
}

/// Finds the route of a path, which begins with a slash and is decoded already.
///
/// # Errors
/// The answer, where there is none.
pub fn route(kinds: &[Arc<Kind>], method: &Method, path: &str) -> Result<Route, Nowhere> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match parts.as_slice() {
        [""] => Ok(Route::Index),
        ["healthz" | "livez" | "readyz", ..] => Ok(Route::Health),
        ["version"] | ["version", ""] => Ok(Route::Version),
        ["api"] | ["api", ""] => Ok(Route::CoreVersions),
        ["apis"] | ["apis", ""] => Ok(Route::Groups),
        ["openapi", "v3"] => Ok(Route::OpenApiIndex),
        ["openapi", "v3", rest @ ..] => Ok(Route::OpenApi(rest.join("/"))),
        ["api", version, rest @ ..] => below(kinds, method, "", version, rest),
        ["apis", group] | ["apis", group, ""] if has_group(kinds, group) => {
            Ok(Route::Group((*group).to_owned()))
        }
        ["apis", group, version, rest @ ..] => below(kinds, method, group, version, rest),
        _ => Err(Nowhere::Page),
    }
}

fn has_group(kinds: &[Arc<Kind>], group: &str) -> bool {
    !group.is_empty() && (!reviews(group).is_empty() || kinds.iter().any(|k| k.group == group))
}

fn below(
    kinds: &[Arc<Kind>],
    method: &Method,
    group: &str,
    version: &str,
    rest: &[&str],
) -> Result<Route, Nowhere> {
    let of_group: Vec<&Arc<Kind>> = kinds.iter().filter(|k| k.group == group).collect();
    let reviews = reviews(group);
    let custom = of_group.iter().any(|k| k.custom);
    let nowhere = || {
        if group.is_empty() || (!custom && has_group(kinds, group)) {
            Nowhere::Refused(Box::new(texts::no_such_resource()))
        } else {
            Nowhere::Page
        }
    };
    let served =
        of_group.iter().any(|k| k.version == version) || (version == "v1" && !reviews.is_empty());
    if !served {
        return Err(nowhere());
    }
    match rest {
        [] | [""] => Ok(Route::Resources {
            group: group.to_owned(),
            version: version.to_owned(),
        }),
        [plural] if let Some(review) = reviews.iter().find(|r| *r == plural) => {
            Ok(Route::Review(review))
        }
        _ => {
            let find = |plural: &str| {
                let mut found = of_group.iter().filter(|k| k.version == version);
                found.find(|k| k.plural == plural).map(|k| Arc::clone(k))
            };
            let (path, rest) = match rest {
                ["watch", rest @ ..] => (Path::Watch, rest),
                _ => (Path::Usual, rest),
            };
            let (mut place, sub) = place(find, rest).ok_or_else(nowhere)?;
            place.path = path;
            match path {
                Path::Usual => check((place, sub), method),
                Path::Watch => check_watch((place, sub), method),
            }
        }
    }
}

fn place(
    find: impl Fn(&str) -> Option<Arc<Kind>>,
    rest: &[&str],
) -> Option<(Place, Option<String>)> {
    // A slash at the end leads nowhere else.
    let rest = match rest {
        [rest @ .., ""] if !rest.is_empty() => rest,
        _ => rest,
    };
    let (namespace, rest) = match rest {
        // A namespace itself, and its status, before what is in it.
        ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => (None, rest),
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => {
            (Some((*namespace).to_owned()), rest)
        }
        _ => (None, rest),
    };
    let (plural, name, sub, more) = match rest {
        [plural] => (plural, None, None, false),
        [plural, name] => (plural, Some(name), None, false),
        [plural, name, sub, more @ ..] => (plural, Some(name), Some(sub), !more.is_empty()),
        _ => return None,
    };
    let kind = find(plural)?;
    // Of a kind of a definition, the real server does not look at what comes after a subresource.
    if more && !kind.custom {
        return None;
    }
    if name.is_some_and(|n| n.is_empty()) || namespace.as_ref().is_some_and(String::is_empty) {
        return None;
    }
    let place = Place {
        kind,
        namespace,
        name: name.map(|n| (*n).to_owned()),
        part: Part::of(sub.copied()),
        path: Path::Usual,
    };
    Some((place, sub.map(|s| (*s).to_owned())))
}

/// The same for the older path of watches, which has no parts of an object.
fn check_watch((place, sub): (Place, Option<String>), method: &Method) -> Result<Route, Nowhere> {
    let kind = &place.kind;
    let astray = kind.namespaced && place.namespace.is_none() && place.name.is_some()
        || !kind.namespaced && place.namespace.is_some();
    match (&sub, &place.name) {
        _ if astray && kind.custom => Err(Nowhere::Page),
        _ if astray => Err(refused(texts::no_such_resource())),
        (Some(_), Some(name)) if kind.custom => Err(refused(match place.part {
            Part::Status => not_supported(kind, "watch"),
            Part::Object | Part::Finalize => not_found(kind, name),
        })),
        (Some(_), _) => Err(refused(texts::no_such_resource())),
        (None, _) if *method == Method::GET => Ok(Route::Objects(place)),
        (None, _) => Err(refused(texts::method_not_allowed())),
    }
}

/// Whether there is such a place at all, and whether the method makes sense there.
fn check((place, sub): (Place, Option<String>), method: &Method) -> Result<Route, Nowhere> {
    let kind = &place.kind;
    let nowhere = || {
        if kind.custom {
            Nowhere::Page
        } else {
            Nowhere::Refused(Box::new(texts::no_such_resource()))
        }
    };
    if !kind.namespaced && place.namespace.is_some() {
        return Err(nowhere());
    }
    // The objects of all namespaces can be read and nothing else.
    if kind.namespaced && place.namespace.is_none() {
        match (place.name.is_some(), method == Method::GET) {
            (false, true) => {}
            (false, false) if !kind.custom => return Err(refused(texts::method_not_allowed())),
            (false, false) | (true, _) => return Err(nowhere()),
        }
    }
    if let (Some(_), Some(name)) = (&sub, &place.name)
        && (place.part == Part::Object || !place.part.is_of(kind))
    {
        return Err(if kind.custom {
            refused(not_found(kind, name))
        } else {
            nowhere()
        });
    }
    let allowed = match (&place.name, place.part) {
        (None, _) if kind.custom && matches!(*method, Method::PUT | Method::PATCH) => {
            return Err(refused(texts::bad_request("name must be provided")));
        }
        (None, _) if !kind.namespaced => matches!(*method, Method::GET | Method::POST),
        (None, _) => matches!(*method, Method::GET | Method::POST | Method::DELETE),
        (Some(_), Part::Finalize) => *method == Method::PUT,
        (Some(_), Part::Status) => matches!(*method, Method::GET | Method::PUT | Method::PATCH),
        (Some(_), Part::Object) => matches!(
            *method,
            Method::GET | Method::PUT | Method::PATCH | Method::DELETE
        ),
    };
    if allowed {
        Ok(Route::Objects(place))
    } else if kind.custom && place.part == Part::Status {
        let verb = if method == Method::DELETE {
            "delete"
        } else {
            "create"
        };
        Err(refused(not_supported(kind, verb)))
    } else {
        Err(refused(texts::method_not_allowed()))
    }
}

fn not_supported(kind: &Kind, verb: &str) -> Refusal {
    let message = format!(
        "{verb} is not supported on resources of kind \"{}\"",
        kind.resource()
    );
    let mut refusal = Refusal::new(405, "MethodNotAllowed", message);
    refusal.details = serde_json::json!({"group": kind.group, "kind": kind.plural});
    refusal
}

fn refused(refusal: Refusal) -> Nowhere {
    Nowhere::Refused(Box::new(refusal))
}

fn not_found(kind: &Kind, name: &str) -> Refusal {
    let message = format!("{} \"{name}\" not found", kind.resource());
    let mut refusal = Refusal::new(404, "NotFound", message);
    refusal.details = serde_json::json!({"name": name, "group": kind.group, "kind": kind.plural});
    refusal
}
