//! The ODM's `unique_id` of a disk, and the storage UID in it (`hmc.md` § 5.5).

use crate::site::Uid;

/// Protocols that end a `unique_id`.
const PROTOCOLS: [&str; 5] = ["vscsi", "iscsi", "nvme", "fcp", "sas"];

/// A parsed `unique_id`: `LL  ll id  ll product  ll vendor  proto`, lengths in hex, `LL` counting itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueId {
    /// Identifier, with its page-83 type digit in front where there is one (3 = NAA, 1 = T10).
    pub id: String,
    /// Product; `2145` for every Storage Virtualize system. Absent in NVMe values.
    pub product: Option<String>,
    /// Vendor; NVMe: the controller's serial.
    pub vendor: String,
    /// `fcp`, `sas`, `vscsi`, `iscsi`, `nvme`.
    pub protocol: String,
}

impl UniqueId {
    /// Parses the value; blanks inside a product belong to it, so nothing is split on white space.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches(['\r', '\n', ' ']);
        if !text.is_ascii() || length(text)? != text.len() {
            return None;
        }
        let mut rest = &text[2..];
        let mut fields = Vec::new();
        while !PROTOCOLS.contains(&rest) {
            let end = length(rest)?.checked_add(2)?;
            fields.push(rest.get(2..end)?.to_owned());
            rest = &rest[end..];
        }
        let protocol = rest.to_owned();
        let mut fields = fields.into_iter();
        let (id, second, third, more) =
            (fields.next()?, fields.next()?, fields.next(), fields.next());
        let (product, vendor) = match third {
            Some(vendor) => (Some(second), vendor),
            None => (None, second),
        };
        (more.is_none() && !id.is_empty()).then_some(Self {
            id,
            product,
            vendor,
            protocol,
        })
    }

    /// The storage array's UID: the NAA (32 hex digits) or, for arrays that give a plain id (DS8000, Hitachi), that id.
    /// `None` for internal disks, files of another VIOS, T10 and NVMe identifiers.
    pub fn storage_uid(&self) -> Option<Uid> {
        if !matches!(self.protocol.as_str(), "fcp" | "iscsi") {
            return None;
        }
        if let Some(naa) = self.id.strip_prefix('3')
            && is_naa(naa)
        {
            return Some(Uid::new(naa));
        }
        let plain = !self.id.contains(' ') && self.id.len() <= 16;
        plain.then(|| Uid::new(&self.id))
    }
}

/// A registered extended NAA: 32 hex digits beginning with 6.
fn is_naa(text: &str) -> bool {
    text.len() == 32 && text.starts_with('6') && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The length in the first two characters.
fn length(text: &str) -> Option<usize> {
    usize::from_str_radix(text.get(..2)?, 16).ok()
}

/// `DescriptorPage83` of the console: base64 of the NAA as text. T10 and NVMe disks give other text or garbage: `None`.
pub fn page_83(base64: &str) -> Option<Uid> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(base64.trim())
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    is_naa(text.trim()).then(|| Uid::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_published_forms_give_their_uid() {
        for (text, uid) in [
            (
                "3321360050764008100DC4800000000002C0704214503IBMfcp",
                Some("60050764008100DC4800000000002C07"),
            ),
            ("200B75BALB1101107210790003IBMfcp", Some("75BALB11011")),
            ("2811350000394783A54A009MBF2600RC03IBMsas", None),
            (
                "391BIBMIPR-0   6AB407000000002010IPR-0   6AB4070003IBMsas",
                None,
            ),
        ] {
            let parsed = UniqueId::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(parsed.storage_uid(), uid.map(Uid::new), "{text}");
        }
    }

    #[test]
    fn a_wrong_length_is_no_identity() {
        let good = "3321360050764008100DC4800000000002C0704214503IBMfcp";
        assert!(UniqueId::parse(&good[..good.len() - 1]).is_none());
        assert!(UniqueId::parse(&format!("{good}x")).is_none());
        assert!(UniqueId::parse("").is_none());
    }

    fn field(text: &str) -> String {
        format!("{:02X}{text}", text.len())
    }

    proptest! {
        #[test]
        fn what_is_written_by_the_grammar_is_read_back(
            id in "[ -~]{1,60}", product in "[ -~]{1,16}", vendor in "[A-Z]{1,8}", protocol in 0usize..5,
        ) {
            let protocol = PROTOCOLS[protocol];
            let body = format!("{}{}{}{protocol}", field(&id), field(&product), field(&vendor));
            let text = format!("{:02X}{body}", body.len() + 2);
            // A value that ends or begins with blanks is trimmed by the shell; the grammar has none there.
            let parsed = UniqueId::parse(&text).unwrap();
            prop_assert_eq!(parsed.id, id);
            prop_assert_eq!(parsed.product, Some(product));
            prop_assert_eq!(parsed.vendor, vendor);
            prop_assert_eq!(parsed.protocol.as_str(), protocol);
        }

        #[test]
        fn an_naa_is_found_whatever_its_case(naa in "6[0-9a-f]{31}") {
            let body = format!("{}{}{}fcp", field(&format!("3{naa}")), field("2145"), field("IBM"));
            let text = format!("{:02X}{body}", body.len() + 2);
            let uid = UniqueId::parse(&text).unwrap().storage_uid();
            prop_assert_eq!(uid, Some(Uid::new(naa)));
        }

        #[test]
        fn no_text_crashes_the_parser(text in ".{0,80}") {
            let _ = UniqueId::parse(&text);
            let _ = page_83(&text);
        }
    }
}
