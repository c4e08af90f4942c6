//! How long ago, as kubectl prints it: the exact rounding of the real server.

use chrono::{DateTime, TimeDelta, Utc};

/// From a time in RFC 3339 to now. None when it is no time.
pub fn since(time: &str, now: DateTime<Utc>) -> Option<String> {
    let time = DateTime::parse_from_rfc3339(time).ok()?;
    Some(short(now - time.to_utc()))
}

/// Like `7m30s`. A time in the future is `<invalid>`, apart from a second or two of clocks that differ.
pub fn short(span: TimeDelta) -> String {
    let seconds = span.num_seconds();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let two = |large: i64, unit: char, small: i64, below: char| {
        if small == 0 {
            format!("{large}{unit}")
        } else {
            format!("{large}{unit}{small}{below}")
        }
    };
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(hours / 24, 'd', hours % 24, 'h'),
        691_200..63_072_000 => format!("{}d", hours / 24),
        63_072_000..252_288_000 => two(hours / 8_760, 'y', (hours / 24) % 365, 'd'),
        _ => format!("{}y", hours / 8_760),
    }
}

#[cfg(test)]
mod tests {
    use super::short;
    use chrono::TimeDelta;

    #[test]
    fn ages_are_rounded_as_kubectl_knows_them() {
        for (seconds, text) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (121, "2m1s"),
            (599, "9m59s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (10_860, "3h1m"),
            (28_800, "8h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (176_400, "2d1h"),
            (691_200, "8d"),
            (63_071_999, "729d"),
            (63_072_000, "2y"),
            (63_158_400, "2y1d"),
            (252_288_000, "8y"),
        ] {
            assert_eq!(short(TimeDelta::seconds(seconds)), text, "{seconds}");
        }
    }
}
