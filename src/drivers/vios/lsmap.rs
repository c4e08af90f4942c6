//! `lsmap -all -fmt :`: one line per server adapter, three fields and then six per virtual target device
//! (`hmc.md` § 5.3).

/// One server adapter (vhost).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAdapter {
    /// `vhost3`.
    pub vhost: String,
    /// Ends with `-V<vios id>-C<slot>`.
    pub location: String,
    /// Client's partition id; `None` while no client has connected (0) or when it cannot be read.
    pub client: Option<i32>,
    /// Virtual target devices, in the VIOS's order.
    pub devices: Vec<TargetDevice>,
}

/// One virtual target device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetDevice {
    /// Name, unique on the VIOS.
    pub vtd: String,
    /// `Available` or `Defined`.
    pub status: String,
    /// `0x8100000000000000` and up.
    pub lun: String,
    /// `hdisk5`, a logical volume or a file; blank when the device lost it.
    pub backing: String,
}

/// The text is not what `lsmap` prints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of lsmap cannot be read: {text}")]
pub struct BadMap {
    /// Counted from 1.
    pub line: usize,
    /// The line.
    pub text: String,
}

/// Parses the whole output. A line that is not understood is an error, never "no mapping".
///
/// # Errors
/// Names the line.
pub fn parse(text: &str) -> Result<Vec<ServerAdapter>, BadMap> {
    let mut adapters = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let adapter = adapter(line).ok_or_else(|| BadMap {
            line: at + 1,
            text: line.chars().take(200).collect(),
        })?;
        adapters.push(adapter);
    }
    Ok(adapters)
}

fn adapter(line: &str) -> Option<ServerAdapter> {
    let fields: Vec<&str> = line
        .trim_end_matches('\r')
        .split(':')
        .map(str::trim)
        .collect();
    let [vhost, location, client, rest @ ..] = fields.as_slice() else {
        return None;
    };
    if !is_vhost(vhost) {
        return None;
    }
    let devices = if rest.iter().all(|f| f.is_empty()) {
        Vec::new()
    } else {
        devices(rest)?
    };
    Some(ServerAdapter {
        vhost: (*vhost).to_owned(),
        location: (*location).to_owned(),
        client: client_id(client)?,
        devices,
    })
}

fn devices(fields: &[&str]) -> Option<Vec<TargetDevice>> {
    if !fields.len().is_multiple_of(6) {
        return None;
    }
    fields
        .chunks(6)
        .filter(|group| !group.iter().all(|f| f.is_empty()))
        .map(|group| {
            let [vtd, status, lun, backing, ..] = group else {
                return None;
            };
            (!vtd.is_empty()).then(|| TargetDevice {
                vtd: (*vtd).to_owned(),
                status: (*status).to_owned(),
                lun: (*lun).to_owned(),
                backing: (*backing).to_owned(),
            })
        })
        .collect()
}

/// `0x00000010`, or decimal with `-dec`; the outer option says whether it could be read at all.
fn client_id(text: &str) -> Option<Option<i32>> {
    let id = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => i32::from_str_radix(hex, 16).ok()?,
        None => text.parse().ok()?,
    };
    Some((id != 0 && id != 0xffff).then_some(id))
}

/// `vhost` and a number.
pub fn is_vhost(text: &str) -> bool {
    text.strip_prefix("vhost")
        .is_some_and(|n| (1..=4).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXAMPLE: &str = "vhost3:U8286.42A.103341V-V1-C15:0x00000010:clone1_00:Available:0x8100000000000000:hdisk5:U78C9.001.X-P1-C10-T1-W500507680B215660-L5000000000000:false";

    #[test]
    fn the_documented_line_is_read() {
        let adapters = parse(&format!("{EXAMPLE}\n")).unwrap();
        assert_eq!(adapters[0].client, Some(16));
        assert_eq!(adapters[0].devices.len(), 1);
        assert_eq!(adapters[0].devices[0].backing, "hdisk5");
    }

    #[test]
    fn an_adapter_without_devices_has_none_in_every_spelling() {
        for line in [
            "vhost0:U8286.42A.1-V1-C2:0x00000000: : : : : : ",
            "vhost0:U8286.42A.1-V1-C2:0x00000000: ",
            "vhost0:U8286.42A.1-V1-C2:0x00000000",
            "vhost0:U8286.42A.1-V1-C2:0x00000000::::::",
        ] {
            let adapters = parse(line).unwrap();
            assert_eq!(adapters[0].devices, Vec::new(), "{line}");
            assert_eq!(adapters[0].client, None);
        }
    }

    #[test]
    fn a_line_that_is_not_understood_is_an_error_and_never_no_mapping() {
        for line in [
            "VIOS0014 busy",
            "vhost3:loc",
            "vhost3:loc:zz",
            "vhost3:loc:0x1:vtd:Available:0x81",
            &EXAMPLE[..EXAMPLE.len() - 6],
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    proptest! {
        #[test]
        fn every_device_written_is_read(count in 0usize..40, client in 1i32..500) {
            let groups: String = (0..count)
                .map(|n| format!(":c_{n:02}:Available:0x{:02x}00000000000000:hdisk{n}:U78-P1:false", 0x81 + n))
                .collect();
            let groups = if count == 0 { ": : : : : : ".to_owned() } else { groups };
            let adapters = parse(&format!("vhost1:U1-V1-C5:0x{client:08x}{groups}")).unwrap();
            prop_assert_eq!(adapters[0].devices.len(), count);
            prop_assert_eq!(adapters[0].client, Some(client));
        }

        #[test]
        fn no_text_crashes_the_parser(text in ".{0,120}") {
            let _ = parse(&text);
        }
    }
}
