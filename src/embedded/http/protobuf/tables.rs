//! The messages: numbers and names as in the `generated.proto` files of k8s.io/api and k8s.io/apimachinery 1.36.

use super::Form::{
    Flag, Integer, Json, Map, Message, Messages, MicroTime, OptionalInteger, OptionalText, Text,
    Texts, Time,
};
use super::{Entry, Field, Form, Table};

const fn field(number: u32, name: &'static str, form: Form) -> Field {
    Field { number, name, form }
}

/// The message of a kind. None: it is not taken in this form.
pub fn table(group: &str, kind: &str) -> Option<Table> {
    match (group, kind) {
        ("", "ConfigMap") => Some(CONFIG_MAP),
        ("", "Secret") => Some(SECRET),
        ("", "Namespace") => Some(NAMESPACE),
        ("", "ServiceAccount") => Some(SERVICE_ACCOUNT),
        ("", "Event") => Some(CORE_EVENT),
        ("events.k8s.io", "Event") => Some(EVENT),
        ("coordination.k8s.io", "Lease") => Some(LEASE),
        ("authorization.k8s.io", "SelfSubjectAccessReview") => Some(ACCESS_REVIEW),
        ("authorization.k8s.io", "SelfSubjectRulesReview") => Some(RULES_REVIEW),
        ("authentication.k8s.io", "SelfSubjectReview") => Some(SUBJECT_REVIEW),
        _ => None,
    }
}

/// Of the envelope.
pub const TYPE_META: Table = &[field(1, "apiVersion", Text), field(2, "kind", Text)];

/// How to delete.
pub const DELETE_OPTIONS: Table = &[
    field(1, "gracePeriodSeconds", OptionalInteger),
    field(
        2,
        "preconditions",
        Message(&[
            field(1, "uid", OptionalText),
            field(2, "resourceVersion", OptionalText),
        ]),
    ),
    field(3, "orphanDependents", Flag),
    field(4, "propagationPolicy", OptionalText),
    field(5, "dryRun", Texts),
];

const OBJECT_META: Form = Message(&[
    field(1, "name", Text),
    field(2, "generateName", Text),
    field(3, "namespace", Text),
    field(4, "selfLink", Text),
    field(5, "uid", Text),
    field(6, "resourceVersion", Text),
    field(7, "generation", Integer),
    field(8, "creationTimestamp", Time),
    field(9, "deletionTimestamp", Time),
    field(10, "deletionGracePeriodSeconds", OptionalInteger),
    field(11, "labels", Map(Entry::Text)),
    field(12, "annotations", Map(Entry::Text)),
    field(13, "ownerReferences", Messages(OWNER_REFERENCE)),
    field(14, "finalizers", Texts),
    field(17, "managedFields", Messages(MANAGED_FIELDS)),
]);

const OWNER_REFERENCE: Table = &[
    field(1, "kind", Text),
    field(3, "name", Text),
    field(4, "uid", Text),
    field(5, "apiVersion", Text),
    field(6, "controller", Flag),
    field(7, "blockOwnerDeletion", Flag),
];

const MANAGED_FIELDS: Table = &[
    field(1, "manager", Text),
    field(2, "operation", Text),
    field(3, "apiVersion", Text),
    field(4, "time", Time),
    field(6, "fieldsType", Text),
    field(7, "fieldsV1", Json),
    field(8, "subresource", Text),
];

const OBJECT_REFERENCE: Table = &[
    field(1, "kind", Text),
    field(2, "namespace", Text),
    field(3, "name", Text),
    field(4, "uid", Text),
    field(5, "apiVersion", Text),
    field(6, "resourceVersion", Text),
    field(7, "fieldPath", Text),
];

const CONFIG_MAP: Table = &[
    field(1, "metadata", OBJECT_META),
    field(2, "data", Map(Entry::Text)),
    field(3, "binaryData", Map(Entry::Bytes)),
    field(4, "immutable", Flag),
];

const SECRET: Table = &[
    field(1, "metadata", OBJECT_META),
    field(2, "data", Map(Entry::Bytes)),
    field(3, "type", Text),
    field(4, "stringData", Map(Entry::Text)),
    field(5, "immutable", Flag),
];

const NAMESPACE: Table = &[
    field(1, "metadata", OBJECT_META),
    field(2, "spec", Message(&[field(1, "finalizers", Texts)])),
    field(
        3,
        "status",
        Message(&[
            field(1, "phase", Text),
            field(2, "conditions", Messages(CONDITION)),
        ]),
    ),
];

const CONDITION: Table = &[
    field(1, "type", Text),
    field(2, "status", Text),
    field(4, "lastTransitionTime", Time),
    field(5, "reason", Text),
    field(6, "message", Text),
];

const SERVICE_ACCOUNT: Table = &[
    field(1, "metadata", OBJECT_META),
    field(2, "secrets", Messages(OBJECT_REFERENCE)),
    field(3, "imagePullSecrets", Messages(&[field(1, "name", Text)])),
    field(4, "automountServiceAccountToken", Flag),
];

const SOURCE: Form = Message(&[field(1, "component", Text), field(2, "host", Text)]);
const SERIES: Form = Message(&[
    field(1, "count", Integer),
    field(2, "lastObservedTime", MicroTime),
]);

const CORE_EVENT: Table = &[
    field(1, "metadata", OBJECT_META),
    field(2, "involvedObject", Message(OBJECT_REFERENCE)),
    field(3, "reason", Text),
    field(4, "message", Text),
    field(5, "source", SOURCE),
    field(6, "firstTimestamp", Time),
    field(7, "lastTimestamp", Time),
    field(8, "count", Integer),
    field(9, "type", Text),
    field(10, "eventTime", MicroTime),
    field(11, "series", SERIES),
    field(12, "action", Text),
    field(13, "related", Message(OBJECT_REFERENCE)),
    field(14, "reportingComponent", Text),
    field(15, "reportingInstance", Text),
];

const EVENT: Table = &[
    field(1, "metadata", OBJECT_META),
    field(2, "eventTime", MicroTime),
    field(3, "series", SERIES),
    field(4, "reportingController", Text),
    field(5, "reportingInstance", Text),
    field(6, "action", Text),
    field(7, "reason", Text),
    field(8, "regarding", Message(OBJECT_REFERENCE)),
    field(9, "related", Message(OBJECT_REFERENCE)),
    field(10, "note", Text),
    field(11, "type", Text),
    field(12, "deprecatedSource", SOURCE),
    field(13, "deprecatedFirstTimestamp", Time),
    field(14, "deprecatedLastTimestamp", Time),
    field(15, "deprecatedCount", Integer),
];

const LEASE: Table = &[
    field(1, "metadata", OBJECT_META),
    field(
        2,
        "spec",
        Message(&[
            field(1, "holderIdentity", OptionalText),
            field(2, "leaseDurationSeconds", OptionalInteger),
            field(3, "acquireTime", MicroTime),
            field(4, "renewTime", MicroTime),
            field(5, "leaseTransitions", OptionalInteger),
            field(6, "strategy", OptionalText),
            field(7, "preferredHolder", OptionalText),
        ]),
    ),
];

const ACCESS_REVIEW: Table = &[
    field(1, "metadata", OBJECT_META),
    field(
        2,
        "spec",
        Message(&[
            field(1, "resourceAttributes", Message(RESOURCE_ATTRIBUTES)),
            field(
                2,
                "nonResourceAttributes",
                Message(&[field(1, "path", Text), field(2, "verb", Text)]),
            ),
        ]),
    ),
];

const RESOURCE_ATTRIBUTES: Table = &[
    field(1, "namespace", Text),
    field(2, "verb", Text),
    field(3, "group", Text),
    field(4, "version", Text),
    field(5, "resource", Text),
    field(6, "subresource", Text),
    field(7, "name", Text),
];

const RULES_REVIEW: Table = &[
    field(1, "metadata", OBJECT_META),
    field(2, "spec", Message(&[field(1, "namespace", Text)])),
];

const SUBJECT_REVIEW: Table = &[field(1, "metadata", OBJECT_META)];
