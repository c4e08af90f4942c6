//! The embedded Kubernetes API (`product.md` § 13): enough of it for the own kinds, ConfigMaps, Secrets, Events, Leases and
//! Namespaces, from one SQLite file. A subset, said by its docs; what is not there is answered as the real server would.
//!
//! - [`kind`], [`kinds`]: what is served
//! - [`refusal`]: every answer that is not success, as a `Status` object
//! - [`go_json`], [`go_yaml`]: JSON and YAML as the real server, which is written in Go, reads and speaks of them
//! - [`sparse`]: some fields of an object's text
//! - [`store`]: objects and their history, in SQLite; knows no Kubernetes
//! - [`schema`]: prune, default and validate, CEL rules too
//! - [`patch`]: JSON patch, merge patch, strategic merge patch
//! - [`apply`]: server-side apply and the owners of fields
//! - [`registry`]: create, read, change, delete, watch
//! - [`http`]: the registry as an HTTP service: discovery, OpenAPI, tables, protobuf bodies

pub mod apply;
pub mod go_json;
pub mod go_yaml;
pub mod http;
pub mod kind;
pub mod kinds;
pub mod patch;
pub mod refusal;
pub mod registry;
pub mod schema;
pub mod sparse;
pub mod store;
