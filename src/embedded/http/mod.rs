//! The registry as an HTTP service that an unmodified kubectl, Helm and kube-rs talk to (`kubernetes-api.md` § 3 and § 4 rows
//! 1–4, 14, 16, 17). A kube-apiserver 1.36.3 was asked for every text and code here.
//!
//! - [`router`], [`client`], [`serve`]: the service, on a socket or in this process
//! - [`access`]: who may ask; [`limits`]: how much; [`listen`]: where
//! - [`certificates`], [`kubeconfig`]: what a client needs to find and trust the server
//! - `route`, `query`, `negotiate`, `body`: from a request to what it asks for
//! - `resources`, `lists`, `watch`: the registry's answers; `table`, `partial`: the other forms of an object
//! - `discovery`, `openapi`, `reviews`, `version`: what else clients ask for
//! - `answer`: responses and their headers

pub mod access;
mod answer;
mod body;
pub mod certificates;
mod client;
mod connections;
mod decode;
mod discovery;
pub mod files;
pub mod kubeconfig;
pub mod limits;
pub mod listen;
mod lists;
mod negotiate;
mod openapi;
mod partial;
mod protobuf;
mod query;
mod resources;
mod reviews;
mod route;
mod service;
mod table;
mod texts;
mod version;
mod watch;
mod write;

#[cfg(test)]
mod tests;

pub use access::{Access, Token};
pub use client::client;
pub use limits::Limits;
pub use listen::{Tls, serve};
pub use service::{Service, router};
