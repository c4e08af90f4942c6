//! The SQL the recipes send, and what they read from its rows. All of it is catalog services that change nothing; the
//! simulator of IBM i answers exactly these texts.

use crate::site::{Row, SystemStatus};
use chrono::{NaiveDateTime, TimeDelta};

/// IPv4 interfaces of the system (`ibmi.md` § 3.4).
pub const INTERFACES: &str = "SELECT INTERNET_ADDRESS, LINE_DESCRIPTION, INTERFACE_STATUS FROM QSYS2.NETSTAT_INTERFACE_INFO WHERE CONNECTION_TYPE = 'IPV4'";
/// Configured IPv4 routes of the system; `*DIRECT` ones come with the interfaces. The guest kit asks in the same words.
pub const ROUTES: &str = "SELECT ROUTE_DESTINATION, SUBNET_MASK, NEXT_HOP FROM QSYS2.NETSTAT_ROUTE_INFO WHERE CONNECTION_TYPE = 'IPV4' AND NEXT_HOP <> '*DIRECT'";
/// Number of PTFs that an IPL would apply or remove (`ibmi.md` § 2.7; column names [I]).
pub const PENDING_PTFS: &str =
    "SELECT COUNT(*) AS PENDING FROM QSYS2.PTF_INFO WHERE PTF_IPL_ACTION <> 'NONE'";
/// The system's local time as it prints it, the form in which its history log is asked for.
pub const LOCAL_TIME: &str =
    "SELECT VARCHAR(CURRENT TIMESTAMP) AS LOCAL_TIME FROM SYSIBM.SYSDUMMY1";

/// Text of a column, trimmed; empty for NULL and for a missing column.
pub fn column<'a>(row: &'a Row, name: &str) -> &'a str {
    row.get(name)
        .and_then(|v| v.as_deref())
        .unwrap_or_default()
        .trim()
}

/// A configured route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRoute {
    /// `*DFTROUTE` or a network.
    pub destination: String,
    /// `*NONE` with `*DFTROUTE`, else dotted.
    pub netmask: String,
    /// IPv4.
    pub next_hop: String,
}

/// Addresses of [`INTERFACES`] without loopback.
pub fn addresses(rows: &[Row]) -> Vec<String> {
    let mut found: Vec<String> = rows
        .iter()
        .filter(|row| column(row, "LINE_DESCRIPTION") != "*LOOPBACK")
        .map(|row| column(row, "INTERNET_ADDRESS").to_owned())
        .filter(|address| !address.is_empty() && !address.starts_with("127."))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Routes of [`ROUTES`].
pub fn routes(rows: &[Row]) -> Vec<SourceRoute> {
    rows.iter()
        .map(|row| {
            let destination = match column(row, "ROUTE_DESTINATION") {
                "0.0.0.0" | "*DFTROUTE" => "*DFTROUTE",
                other => other,
            };
            let netmask = match (destination, column(row, "SUBNET_MASK")) {
                ("*DFTROUTE", _) => "*NONE",
                (_, mask) => mask,
            };
            SourceRoute {
                destination: destination.to_owned(),
                netmask: netmask.to_owned(),
                next_hop: column(row, "NEXT_HOP").to_owned(),
            }
        })
        .filter(|r| !r.destination.is_empty() && !r.next_hop.is_empty())
        .collect()
}

/// A local time as IBM i prints it, with any punctuation: `2026-11-23-04.12.33.000000`.
pub fn local_time(text: &str) -> Option<NaiveDateTime> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let seconds = digits.get(..14)?;
    let whole = NaiveDateTime::parse_from_str(seconds, "%Y%m%d%H%M%S").ok()?;
    let fraction = format!("{:0<6}", digits.get(14..).unwrap_or_default());
    let micros = fraction.get(..6)?.parse().ok()?;
    whole.checked_add_signed(TimeDelta::microseconds(micros))
}

/// A local time in the form Db2 for i takes.
pub fn local_text(time: NaiveDateTime) -> String {
    time.format("%Y-%m-%d-%H.%M.%S.%6f").to_string()
}

/// An SCPF entry time as the guest kit gives it, `CYYMMDDHHMMSS`, from whatever form the system printed it in.
pub fn scpf_key(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if digits.len() == 13 {
        return Some(digits);
    }
    let (century, rest) = (digits.get(..2)?, digits.get(2..14)?);
    let century: i32 = century.parse().ok()?;
    Some(format!("{}{rest}", century - 19))
}

/// When the system was started, on its own clock, in the form Db2 for i takes: a history log asked for from then on. The
/// kit's form of that time is none that SQL accepts.
pub fn since_ipl(system: &SystemStatus) -> String {
    let text = &system.scpf_entry_time;
    let time = scpf_key(text).and_then(|key| {
        let (century, rest) = key.split_at_checked(1)?;
        let century: u32 = century.parse().ok()?;
        local_time(&format!("{}{rest}", 19 + century))
    });
    time.map_or_else(|| text.clone(), local_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[(&str, &str)]) -> Row {
        cells
            .iter()
            .map(|(k, v)| ((*k).to_owned(), Some((*v).to_owned())))
            .collect()
    }

    #[test]
    fn loopback_is_no_interface_of_the_source() {
        let rows = [
            row(&[
                ("INTERNET_ADDRESS", "127.0.0.1"),
                ("LINE_DESCRIPTION", "*LOOPBACK"),
            ]),
            row(&[
                ("INTERNET_ADDRESS", "10.0.8.11"),
                ("LINE_DESCRIPTION", "ETHLINE"),
            ]),
        ];
        assert_eq!(addresses(&rows), ["10.0.8.11"]);
    }

    #[test]
    fn the_default_route_has_no_mask() {
        let rows = [row(&[
            ("ROUTE_DESTINATION", "*DFTROUTE"),
            ("SUBNET_MASK", "0.0.0.0"),
            ("NEXT_HOP", "10.0.8.1"),
        ])];
        let found = routes(&rows);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].netmask, "*NONE");
    }

    #[test]
    fn every_printed_form_of_an_scpf_time_has_one_key() {
        for text in [
            "2026-11-23-04.12.33.123456",
            "2026-11-23 04:12:33",
            "1261123041233",
        ] {
            assert_eq!(scpf_key(text).as_deref(), Some("1261123041233"), "{text}");
        }
        assert_eq!(scpf_key("19991231235959").as_deref(), Some("0991231235959"));
        assert_eq!(scpf_key("soon"), None);
    }

    #[test]
    fn the_time_of_an_ipl_is_one_that_sql_takes() {
        let since = |text: &str| {
            since_ipl(&SystemStatus {
                identity: crate::site::Identity::new("7812345", 3),
                host_name: "PROD".to_owned(),
                scpf_entry_time: text.to_owned(),
                now: chrono::DateTime::UNIX_EPOCH,
            })
        };
        let wanted = "2026-11-23-04.12.33.000000";
        for text in ["1261123041233", "2026-11-23-04.12.33.123456"] {
            assert_eq!(since(text), wanted, "{text}");
        }
        assert_eq!(since("0991231235959"), "1999-12-31-23.59.59.000000");
        assert_eq!(
            since("soon"),
            "soon",
            "the system says what it thinks of it"
        );
    }

    #[test]
    fn local_times_survive_a_round_trip() {
        let text = "2026-11-23-04.12.33.120000";
        let time = local_time(text).expect("a time");
        assert_eq!(local_text(time), text);
        let dashed = local_time("2026-11-23 04:12:33.12").expect("a time");
        assert_eq!(dashed, time);
    }
}
