//! The embedded Kubernetes API (`product.md` § 13): enough of it for the own kinds, ConfigMaps, Secrets, Events, Leases and
//! Namespaces, from one SQLite file. A subset, said by its docs; what is not there is answered as the real server would.
//!
//! - [`kind`]: what is served
//! - [`refusal`]: every answer that is not success, as a `Status` object
//! - [`store`]: objects and their history, in SQLite; knows no Kubernetes
//! - `schema`: prune, default and validate, CEL rules too
||||||| b81ec1a
//! - `store`: objects and their history, in SQLite; knows no Kubernetes
//! - `schema`: prune, default and validate, CEL rules too
//! - `store`: objects and their history, in SQLite; knows no Kubernetes
//! - [`schema`]: prune, default and validate, CEL rules too
//! - [`kinds`]: the kinds that Kubernetes has built in
//! - `patch`: JSON patch, merge patch, strategic merge patch
//! - `apply`: server-side apply and the owners of fields
||||||| b81ec1a
//! - `patch`: JSON patch, merge patch, strategic merge patch
//! - `apply`: server-side apply and the owners of fields
//! - [`patch`]: JSON patch, merge patch, strategic merge patch
//! - [`apply`]: server-side apply and the owners of fields
//! - `registry`: create, read, change, delete, watch
||||||| b81ec1a
//! - `registry`: create, read, change, delete, watch
//! - [`registry`]: create, read, change, delete, watch
//! - `http`: the registry as an HTTP service: discovery, OpenAPI, tables, protobuf bodies
||||||| b81ec1a
//! - `http`: the registry as an HTTP service: discovery, OpenAPI, tables, protobuf bodies
//! - [`http`]: the registry as an HTTP service: discovery, OpenAPI, tables, protobuf bodies

pub mod apply;
||||||| b81ec1a
pub mod http;
pub mod kind;
pub mod kinds;
||||||| b81ec1a
pub mod patch;
pub mod refusal;
pub mod store;
||||||| b81ec1a
pub mod schema;
||||||| b81ec1a
pub mod registry;
