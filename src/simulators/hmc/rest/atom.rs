//! Atom documents as an HMC writes them: prefixes by type name, `kb`/`kxe` attributes, etags as signed integers
//! (`hmc.md` § 1.4).

use super::Ask;
use std::fmt::Write as _;

const WEB: &str = "http://www.ibm.com/xmlns/systems/power/firmware/web/mc/2012_10/";
const UOM: &str = "http://www.ibm.com/xmlns/systems/power/firmware/uom/mc/2012_10/";
const ATOM: &str = r#"xmlns="http://www.w3.org/2005/Atom" xmlns:ns2="http://a9.com/-/spec/opensearch/1.1/" xmlns:ns3="http://www.w3.org/1999/xhtml""#;
const META: &str = "<Metadata>\n<Atom/>\n</Metadata>";
const PUBLISHED: &str = "2026-11-23T00:00:00.000Z";

/// UUID of one of the simulated consoles: each of them has its own.
pub(super) fn console_uuid(endpoint: usize) -> String {
    format!(
        "67c67e9a-c027-3a3d-9399-{:012x}",
        0xebe6_aa14_e12e_u64 + endpoint as u64
    )
}

/// Escapes text for an element.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// One element with the attributes an HMC puts on.
pub(super) fn element(name: &str, text: &str) -> String {
    if text.is_empty() {
        return format!("<{name} kb=\"ROR\" kxe=\"false\"/>\n");
    }
    format!(
        "<{name} kb=\"ROR\" kxe=\"false\">{}</{name}>\n",
        escape(text)
    )
}

/// A structured element.
pub(super) fn group(name: &str, inner: &str) -> String {
    format!("<{name} kb=\"CUR\" kxe=\"false\" schemaVersion=\"V1_5_0\">{META}\n{inner}</{name}>\n")
}

fn href(ask: &Ask<'_>, path: &str) -> String {
    format!("https://{}/rest/api/uom/{path}", ask.host)
}

/// A reference.
pub(super) fn link(ask: &Ask<'_>, name: &str, path: &str) -> String {
    format!(
        "<{name} kb=\"CUD\" kxe=\"false\" href=\"{}\" rel=\"related\"/>\n",
        href(ask, path)
    )
}

/// A list of references; nothing at all when there is none.
pub(super) fn links<'p>(
    ask: &Ask<'_>,
    name: &str,
    paths: impl IntoIterator<Item = String> + 'p,
) -> String {
    let items: String = paths
        .into_iter()
        .map(|path| format!("<link href=\"{}\" rel=\"related\"/>\n", href(ask, &path)))
        .collect();
    if items.is_empty() {
        return String::new();
    }
    format!("<{name} kb=\"CUD\" kxe=\"false\">\n{items}</{name}>\n")
}

/// An object's etag: a signed integer that changes with its content.
pub(super) fn etag(content: &str) -> i64 {
    let mut hash: i32 = 17;
    for byte in content.bytes() {
        hash = hash.wrapping_mul(31).wrapping_add(i32::from(byte));
    }
    i64::from(hash)
}

fn self_links(ask: &Ask<'_>, path: &str) -> String {
    format!("<link rel=\"SELF\" href=\"{}\"/>\n", href(ask, path))
}

/// The reference to the console that answers.
pub(super) fn console_link(ask: &Ask<'_>) -> String {
    let console = console_uuid(ask.endpoint);
    format!(
        "<link rel=\"MANAGEMENT_CONSOLE\" href=\"{}\"/>\n",
        href(ask, &format!("ManagementConsole/{console}"))
    )
}

/// An object of the model, on its own or in a feed.
pub(super) struct Object {
    pub(super) kind: &'static str,
    pub(super) id: String,
    /// Below `/rest/api/uom/`.
    pub(super) path: String,
    pub(super) inner: String,
}

impl Object {
    pub(super) fn etag(&self) -> i64 {
        etag(&self.inner)
    }
    fn body(&self, ask: &Ask<'_>, console: &str) -> String {
        let Self {
            kind, id, inner, ..
        } = self;
        format!(
            "<id>{id}</id>\n<title>{kind}</title>\n<published>{PUBLISHED}</published>\n{}{console}\
             <author>\n<name>IBM Power Systems Management Console</name>\n</author>\n\
             <etag:etag xmlns:etag=\"{UOM}\" xmlns=\"{UOM}\">{}</etag:etag>\n\
             <content type=\"application/vnd.ibm.powervm.uom+xml; type={kind}\">\n\
             <{kind}:{kind} xmlns:{kind}=\"{UOM}\" xmlns=\"{UOM}\" xmlns:ns2=\"http://www.w3.org/XML/1998/namespace/k2\" schemaVersion=\"V1_5_0\">\n\
             <Metadata>\n<Atom>\n<AtomID>{id}</AtomID>\n<AtomCreated>1668779651357</AtomCreated>\n</Atom>\n</Metadata>\n{inner}</{kind}:{kind}>\n\
             </content>\n",
            self_links(ask, &self.path),
            self.etag()
        )
    }
    /// The object as an entry.
    pub(super) fn entry(&self, ask: &Ask<'_>) -> String {
        format!(
            "<entry {ATOM}>\n{}</entry>\n",
            self.body(ask, &console_link(ask))
        )
    }
}

/// A feed of objects.
pub(super) fn feed(ask: &Ask<'_>, objects: &[Object]) -> String {
    let mut text = format!(
        "<feed {ATOM}>\n<id>c4db243e-3107-3382-876e-90113f45b44e</id>\n<updated>{PUBLISHED}</updated>\n{}{}\
         <generator>IBM Power Systems Management Console</generator>\n",
        self_links(ask, ask.path.trim_start_matches("uom/")),
        console_link(ask)
    );
    for object in objects {
        let _ = write!(text, "<entry>\n{}</entry>\n", object.body(ask, ""));
    }
    text.push_str("</feed>\n");
    text
}

/// A document of the web namespace inside an entry (jobs, errors).
pub(super) fn web_entry(kind: &str, id: &str, links: &str, inner: &str) -> String {
    format!(
        "<entry {ATOM}>\n<id>{id}</id>\n<title>{kind}</title>\n<published>{PUBLISHED}</published>\n{links}\
         <author>\n<name>IBM Power Systems Management Console</name>\n</author>\n\
         <content type=\"application/vnd.ibm.powervm.web+xml; type={kind}\">\n\
         <{kind}:{kind} xmlns:{kind}=\"{WEB}\" xmlns=\"{WEB}\" xmlns:ns2=\"http://www.w3.org/XML/1998/namespace/k2\" schemaVersion=\"V1_5_0\">\n\
         {META}\n{inner}</{kind}:{kind}>\n</content>\n</entry>\n"
    )
}

/// `HttpErrorResponse`.
pub(super) fn error_entry(status: u16, path: &str, reason: &str, message: &str) -> String {
    let inner = [
        element("HTTPStatus", &status.to_string()),
        element("RequestURI", &format!("/rest/api/{path}")),
        element("ReasonCode", reason),
        element("Message", message),
        element("RequestBody", ""),
        element("RequestHeaders", "{X-API-Session=*******}"),
    ];
    web_entry(
        "HttpErrorResponse",
        "8fd0898d-359f-4e64-80d9-a918df892ade",
        "",
        &inner.concat(),
    )
}
