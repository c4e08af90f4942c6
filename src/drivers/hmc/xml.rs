//! Reading the console's XML by local name: prefixes, attribute order and extra elements vary by level (`hmc.md` § 1.4).

use roxmltree::{Document, Node};

/// Parses a document; `None` for HTML, blank or broken text, which a proxy in between may well send.
pub(super) fn parse(text: &str) -> Option<Document<'_>> {
    Document::parse(text.trim_start_matches('\u{feff}').trim_start()).ok()
}

/// First direct child with this local name.
pub(super) fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|c| c.tag_name().name() == name)
}

/// Walks down a path of local names.
pub(super) fn at<'a, 'i>(node: Node<'a, 'i>, path: &[&str]) -> Option<Node<'a, 'i>> {
    path.iter().try_fold(node, |n, name| child(n, name))
}

/// Text of an element, trimmed; `None` when it is missing or only white space (a blank field is a missing field).
pub(super) fn text(node: Node<'_, '_>) -> Option<String> {
    let whole: String = node
        .children()
        .filter(Node::is_text)
        .filter_map(|t| t.text())
        .collect();
    let trimmed = whole.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

/// Text of a direct child.
pub(super) fn child_text(node: Node<'_, '_>, name: &str) -> Option<String> {
    child(node, name).and_then(text)
}

/// First descendant with this local name.
pub(super) fn find<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.descendants().find(|n| n.tag_name().name() == name)
}

/// Last segment of the `href` of an element: references are URLs whose host may be another name of the console.
pub(super) fn href_tail(node: Node<'_, '_>) -> Option<String> {
    let href = node.attribute("href")?;
    let path = href.split(['?', '#']).next().unwrap_or(href);
    let tail = path.trim_end_matches('/').rsplit('/').next()?;
    (!tail.is_empty()).then(|| tail.to_owned())
}

/// The objects of one type in a feed, in an entry, or bare.
pub(super) fn objects<'a, 'i>(document: &'a Document<'i>, kind: &str) -> Vec<Node<'a, 'i>> {
    let root = document.root_element();
    root.descendants()
        .filter(|n| n.tag_name().name() == kind)
        .filter(|n| {
            *n == root
                || n.parent_element()
                    .is_some_and(|p| p.tag_name().name() == "content")
        })
        .collect()
}

/// UUID of an object: `Metadata/Atom/AtomID`, else the `id` of its entry.
pub(super) fn uuid(object: Node<'_, '_>) -> Option<String> {
    at(object, &["Metadata", "Atom", "AtomID"])
        .and_then(text)
        .or_else(|| {
            let entry = object.parent_element()?.parent_element()?;
            child_text(entry, "id")
        })
}

/// Escapes text for an element.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blank_text_is_a_missing_field() {
        let document = parse("<a><b>\n   </b><c> x </c></a>").unwrap();
        assert_eq!(child_text(document.root_element(), "b"), None);
        assert_eq!(
            child_text(document.root_element(), "c").as_deref(),
            Some("x")
        );
    }

    #[test]
    fn a_reference_ends_with_the_uuid_whatever_host_or_query_it_has() {
        let document =
            parse("<a href='https://other:12443/rest/api/uom/LogicalPartition/AB-1?group=None'/>")
                .unwrap();
        assert_eq!(href_tail(document.root_element()).as_deref(), Some("AB-1"));
    }

    proptest! {
        #[test]
        fn any_text_survives_escaping(text in "[ -~äß€]{0,40}") {
            let xml = format!("<a>{}</a>", escape(&text));
            let document = parse(&xml).unwrap();
            prop_assert_eq!(document.root_element().text().unwrap_or(""), text);
        }

        #[test]
        fn no_body_crashes_the_parser(text in ".{0,200}") {
            let _ = parse(&text);
        }
    }
}
