//! Names on devices: short, unique, and never cut off (`product.md` § 2).

use super::plan::Plan;
use crate::site::{Uid, WantedVolume};

impl Plan {
    /// `C` + environment, `_`, run, both in base 36: at most 10 characters, unique for the run. The `_` keeps
    /// environment 1 run 11 apart from environment 11 run 1.
    pub fn job_name(&self) -> String {
        format!("{}_{}", self.device_prefix(), base36(self.run_number))
    }

    /// Name of the virtual target device of the volume at this place in the group: `C1_V00`. It holds no run number: the
    /// same volume of an environment has the same device in every run, so that a map left from an earlier run is
    /// recognised by a person too. (Steps recognise it by storage UID.)
    pub fn vtd_name(&self, place: usize) -> String {
        format!("{}_V{place:02}", self.device_prefix())
    }

    fn device_prefix(&self) -> String {
        format!("C{}", base36(self.device_number))
    }

    /// Target volumes with their places, from their UIDs in the array's order of maps: the first map is the load source.
    pub fn wanted(&self, targets: &[Uid]) -> Vec<WantedVolume> {
        targets
            .iter()
            .enumerate()
            .map(|(place, uid)| WantedVolume {
                uid: uid.clone(),
                vtd: self.vtd_name(place),
            })
            .collect()
    }
}

fn base36(number: i64) -> String {
    let mut rest = number.unsigned_abs();
    let mut digits = Vec::new();
    loop {
        let digit = u8::try_from(rest % 36).unwrap_or(0);
        digits.push(if digit < 10 {
            b'0' + digit
        } else {
            b'A' + digit - 10
        });
        rest /= 36;
        if rest == 0 {
            break;
        }
    }
    digits.iter().rev().map(|d| char::from(*d)).collect()
}
