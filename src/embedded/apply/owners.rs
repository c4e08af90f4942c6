//! Who owns which fields: the entries of `metadata.managedFields`.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use super::fields::Fields;

/// More owners by plain writes than this are put together, the oldest first.
const MOST_UPDATERS: usize = 10;
/// The name under which they are put together.
const ANCIENT: &str = "ancient-changes";

/// How an owner came to own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// Who owns. There is one entry for each.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owner {
    pub manager: String,
    pub operation: Operation,
    /// Empty for `Apply`: the one who applies remains the same whatever version is applied.
    pub version: String,
    /// Empty for the main resource.
    pub subresource: String,
}

impl Owner {
    /// For a message: `"kubectl-edit" using v1`.
    pub fn text(&self) -> String {
        let mut text = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            text = format!("{text} with subresource {:?}", self.subresource);
        }
        match self.operation {
            Operation::Apply => text,
            Operation::Update => format!("{text} using {}", self.version),
        }
    }
}

/// What one owner owns.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Owned {
    pub fields: Fields,
    /// Of the object when it was written, like `v1`.
    pub version: String,
    /// When that changed. None: never, it was only joined.
    pub time: Option<DateTime<Utc>>,
}

/// Everybody's fields.
pub(super) type Owners = BTreeMap<Owner, Owned>;

/// From `metadata.managedFields`; nobody where there is none.
///
/// # Errors
/// An entry that is none.
pub(super) fn decode(entries: Option<&Value>) -> Result<Owners, String> {
    let entries = entries.and_then(Value::as_array).into_iter().flatten();
    entries.map(decode_one).collect()
}

fn decode_one(entry: &Value) -> Result<(Owner, Owned), String> {
    let text = |name: &str| match entry.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(format!("{name} is not a text: {other}")),
    };
    let operation = match text("operation")?.as_str() {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return Err("operation must be `Apply` or `Update`".to_owned()),
    };
    let version = text("apiVersion")?;
    if version.is_empty() {
        return Err("apiVersion must not be empty".to_owned());
    }
    if text("fieldsType")? != "FieldsV1" {
        return Err("missing or invalid fieldsType".to_owned());
    }
    let time = Some(text("time")?).filter(|time| !time.is_empty());
    let time = time
        .map(|time| DateTime::parse_from_rfc3339(&time).map_err(|e| format!("{time}: {e}")))
        .transpose()?;
    let owner = Owner {
        manager: text("manager")?,
        operation,
        version: match operation {
            Operation::Apply => String::new(),
            Operation::Update => version.clone(),
        },
        subresource: text("subresource")?,
    };
    let fields = entry.get("fieldsV1").filter(|fields| !fields.is_null());
    let owned = Owned {
        fields: fields.map_or(Ok(Fields::default()), Fields::from_json)?,
        version,
        time: time.map(|time| time.to_utc()),
    };
    Ok((owner, owned))
}

/// As `metadata.managedFields`, in the order of the real server: those who apply, then those who write; the oldest first.
/// `None` when nobody owns anything.
pub(super) fn encode(owners: &Owners) -> Option<Value> {
    let mut entries: Vec<(&Owner, &Owned)> = owners.iter().collect();
    entries.sort_by_key(|(owner, owned)| {
        let seconds = owned.time.map_or(0, |time| time.timestamp());
        let version = owned.version.as_str();
        (
            owner.operation,
            seconds,
            &owner.manager,
            version,
            &owner.subresource,
        )
    });
    let entries = entries.into_iter().map(|(owner, owned)| {
        let mut entry = Map::new();
        if !owner.manager.is_empty() {
            entry.insert("manager".to_owned(), json!(owner.manager));
        }
        entry.insert("operation".to_owned(), json!(owner.operation.name()));
        entry.insert("apiVersion".to_owned(), json!(owned.version));
        if let Some(time) = owned.time {
            let time = time.to_rfc3339_opts(SecondsFormat::Secs, true);
            entry.insert("time".to_owned(), json!(time));
        }
        entry.insert("fieldsType".to_owned(), json!("FieldsV1"));
        entry.insert("fieldsV1".to_owned(), owned.fields.to_json());
        if !owner.subresource.is_empty() {
            entry.insert("subresource".to_owned(), json!(owner.subresource));
        }
        Value::Object(entry)
    });
    let entries: Vec<Value> = entries.collect();
    (!entries.is_empty()).then_some(Value::Array(entries))
}

/// Puts the oldest owners by plain writes together until there are not too many, those of one version each.
pub(super) fn cap(owners: &mut Owners) {
    let updates = owners
        .iter()
        .filter(|(owner, _)| owner.operation == Operation::Update);
    let mut updaters: Vec<(i64, Owner)> = updates
        .map(|(owner, owned)| (owned.time.map_or(0, |time| time.timestamp()), owner.clone()))
        .collect();
    let mut count = updaters.len();
    if count <= MOST_UPDATERS {
        return;
    }
    updaters.sort();
    let mut first_of: BTreeMap<String, Owner> = BTreeMap::new();
    for (_, updater) in updaters {
        if count <= MOST_UPDATERS {
            return;
        }
        let Some(first) = first_of.get(&updater.version) else {
            first_of.insert(updater.version.clone(), updater);
            continue;
        };
        let bucket = Owner {
            manager: ANCIENT.to_owned(),
            operation: Operation::Update,
            version: updater.version.clone(),
            subresource: String::new(),
        };
        if !owners.contains_key(&bucket)
            && let Some(owned) = owners.remove(first)
        {
            owners.insert(bucket.clone(), owned);
        }
        if let Some(owned) = owners.remove(&updater)
            && let Some(old) = owners.get_mut(&bucket)
        {
            old.fields = old.fields.union(&owned.fields);
            old.time = owned.time;
            count -= 1;
        }
    }
}
