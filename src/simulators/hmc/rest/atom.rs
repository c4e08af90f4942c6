//! Atom documents as an HMC writes them: prefixes by type name, `kb`/`kxe` attributes, etags as signed integers.

use std::fmt::Write as _;

const WEB: &str = "http://www.ibm.com/xmlns/systems/power/firmware/web/mc/2012_10/";
const UOM: &str = "http://www.ibm.com/xmlns/systems/power/firmware/uom/mc/2012_10/";
const ATOM: &str = r#"xmlns="http://www.w3.org/2005/Atom" xmlns:ns2="http://a9.com/-/spec/opensearch/1.1/" xmlns:ns3="http://www.w3.org/1999/xhtml""#;
const META: &str = "<Metadata><Atom/></Metadata>";

/// UUID of the simulated console.
pub(super) const CONSOLE_UUID: &str = "67c67e9a-c027-3a3d-9399-ebe6aa14e12e";

/// Escapes text for an element.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// One element with the attributes an HMC puts on.
pub(super) fn element(name: &str, text: &str) -> String {
    format!(
        "<{name} kb=\"ROR\" kxe=\"false\">{}</{name}>\n",
        escape(text)
    )
}

/// A structured element.
pub(super) fn group(name: &str, inner: &str) -> String {
    format!("<{name} kb=\"CUR\" kxe=\"false\" schemaVersion=\"V1_5_0\">{META}\n{inner}</{name}>\n")
}

/// A reference.
pub(super) fn link(name: &str, host: &str, path: &str) -> String {
    format!(
        "<{name} kb=\"CUD\" kxe=\"false\" href=\"https://{host}/rest/api/uom/{path}\" rel=\"related\"/>\n"
    )
}

/// An object's etag: a signed integer that changes with its content.
pub(super) fn etag(content: &str) -> i64 {
    let mut hash: i32 = 17;
    for byte in content.bytes() {
        hash = hash.wrapping_mul(31).wrapping_add(i32::from(byte));
    }
    i64::from(hash)
}

/// An entry of the object model. `path` is below `/rest/api/uom/`.
pub(super) fn entry(kind: &str, id: &str, host: &str, path: &str, inner: &str) -> String {
    let tag = etag(inner);
    format!(
        "<entry {ATOM}>\n<id>{id}</id>\n<title>{kind}</title>\n<published>2026-11-23T00:00:00.000Z</published>\n\
         <link rel=\"SELF\" href=\"https://{host}/rest/api/uom/{path}\"/>\n\
         <link rel=\"MANAGEMENT_CONSOLE\" href=\"https://{host}/rest/api/uom/ManagementConsole/{CONSOLE_UUID}\"/>\n\
         <author><name>IBM Power Systems Management Console</name></author>\n\
         <etag:etag xmlns:etag=\"{UOM}\" xmlns=\"{UOM}\">{tag}</etag:etag>\n\
         <content type=\"application/vnd.ibm.powervm.uom+xml; type={kind}\">\n\
         <{kind}:{kind} xmlns:{kind}=\"{UOM}\" xmlns=\"{UOM}\" xmlns:ns2=\"http://www.w3.org/XML/1998/namespace/k2\" schemaVersion=\"V1_5_0\">\n\
         <Metadata><Atom><AtomID>{id}</AtomID><AtomCreated>1668779651357</AtomCreated></Atom></Metadata>\n{inner}</{kind}:{kind}>\n\
         </content>\n</entry>\n"
    )
}

/// A feed of entries.
pub(super) fn feed(host: &str, path: &str, entries: &[String]) -> String {
    let mut text = format!(
        "<feed {ATOM}>\n<id>c4db243e-3107-3382-876e-90113f45b44e</id>\n<updated>2026-11-23T00:00:00.000Z</updated>\n\
         <link rel=\"SELF\" href=\"https://{host}/rest/api/uom/{path}\"/>\n\
         <link rel=\"MANAGEMENT_CONSOLE\" href=\"https://{host}/rest/api/uom/ManagementConsole/{CONSOLE_UUID}\"/>\n\
         <generator>IBM Power Systems Management Console</generator>\n"
    );
    for entry in entries {
        let _ = write!(
            text,
            "{}",
            entry.replacen(&format!("<entry {ATOM}>"), "<entry>", 1)
        );
    }
    text.push_str("</feed>\n");
    text
}

/// A document of the web namespace inside an entry (jobs, errors). `links` come before the console's.
pub(super) fn web_entry(kind: &str, id: &str, links: &str, inner: &str) -> String {
    format!(
        "<entry {ATOM}>\n<id>{id}</id>\n<title>{kind}</title>\n<published>2026-11-23T00:00:00.000Z</published>\n{links}\
         <author><name>IBM Power Systems Management Console</name></author>\n\
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
        "<RequestBody kb=\"ROO\" kxe=\"false\"/>\n".to_owned(),
        element("RequestHeaders", "{X-API-Session=*******}"),
    ];
    web_entry(
        "HttpErrorResponse",
        "8fd0898d-359f-4e64-80d9-a918df892ade",
        "",
        &inner.concat(),
    )
}
