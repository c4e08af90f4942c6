//! Names on devices: short, unique, and never cut off (`product.md` § 2).

use super::brms::BrmsJob;
use super::plan::Plan;
use crate::site::{Uid, WantedVolume};

/// Most programs of function USER: the schema's bound.
const PROGRAMS: usize = 16;
/// Number of the first of BRMS's jobs: the first with two digits in base 36.
const BRMS_JOBS: usize = 36;

impl Plan {
    /// `C` + environment, `_`, run, both in base 36: at most 10 characters, unique for the run. The `_` keeps
    /// environment 1 run 11 apart from environment 11 run 1.
    ///
    /// It is the name of the first program's job, and the generic name `C1_16*` lists all jobs of the run.
    pub fn job_name(&self) -> String {
        format!("{}_{}", self.device_prefix(), base36(self.run_number))
    }

    /// Name of the job of the program at this place, counting from 0: the first has the run's own name, those behind it
    /// one more `_` and `2` to `G`.
    pub fn program_job(&self, place: usize) -> String {
        match place {
            0 => self.job_name(),
            _ => self.numbered_job(place + 1),
        }
    }

    /// Name of the job of the hook at this place of the environment's list, counting from 0: `H` to `W`, behind the
    /// sixteen programs.
    pub fn hook_job(&self, place: usize) -> String {
        self.numbered_job(PROGRAMS + 1 + place)
    }

    /// Name of one of BRMS's own jobs: `10` to `18`, behind programs (control groups), hooks.
    pub(crate) fn brms_job(&self, job: BrmsJob) -> String {
        self.numbered_job(BRMS_JOBS + job.place())
    }

    /// How many jobs the function has: programs or control groups.
    pub fn function_jobs(&self) -> usize {
        let groups = self.brms.as_ref().map_or(0, |b| b.control_groups.len());
        self.programs.len().max(groups)
    }

    fn numbered_job(&self, number: usize) -> String {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        format!("{}_{}", self.job_name(), base36(number))
    }

    /// Names of all jobs that this run may submit.
    pub fn job_names(&self) -> impl Iterator<Item = String> {
        let programs = (0..self.function_jobs().max(1)).map(|n| self.program_job(n));
        let hooks = (0..self.hooks.len()).map(|n| self.hook_job(n));
        let brms = BrmsJob::ALL.into_iter().filter(|_| self.brms.is_some());
        programs
            .chain(hooks)
            .chain(brms.map(|job| self.brms_job(job)))
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
