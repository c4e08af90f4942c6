//! What makes a plan unusable before any device is asked.

use super::{Plan, PlanError, unusable};
use crate::api::options::Function;
use chrono::Datelike;

impl Plan {
    /// Limits that a schema cannot hold, or that only a device knows.
    pub(super) fn check(&self) -> Result<(), PlanError> {
        let token = &self.run_token;
        let good = (8..=32).contains(&token.len())
            && token
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        // The environment's own verify has no run and so no token.
        if !(good || (self.run.is_empty() && token.is_empty())) {
            return Err(unusable("run token", "8 to 32 characters of A-Z and 0-9"));
        }
        if self.job_names().any(|name| name.len() > 10) {
            return Err(unusable(
                "device number",
                "environment and run number together need more than 10 characters in a job name",
            ));
        }
        match self.function {
            Function::Hold | Function::User => {}
            Function::Brms => self.check_groups()?,
            Function::Save21 => self.check_save21()?,
        }
        if self.function == Function::User && self.programs.is_empty() {
            return Err(PlanError::Missing {
                field: "user",
                write: "programs: [ { program: LIB/PROGRAM } ]",
            });
        }
        if self.clone_queues().len() > 16 {
            return Err(unusable(
                "user.programs and hooks",
                "the guest kit releases at most 16 job queues on the clone: let several use one jobQueue",
            ));
        }
        if self.personality.start_subsystems.len() > 16 {
            return Err(unusable(
                "clone.personality.startSubsystems",
                "the guest kit takes at most 16",
            ));
        }
        if self.personality.routes.len() > 16 {
            return Err(unusable(
                "clone.personality.routes",
                "the guest kit takes at most 16",
            ));
        }
        Ok(())
    }

    /// What a save command of the clone could not take.
    fn check_save21(&self) -> Result<(), PlanError> {
        let Some(save) = &self.save21 else {
            return Err(PlanError::Missing {
                field: "save21",
                write: "device: TAP01",
            });
        };
        let date = save.expiration_date.as_str();
        if date.is_empty() || date == "PERM" {
            return Ok(());
        }
        let parsed = chrono::NaiveDate::parse_from_str(date, "%Y-%m-%d");
        if parsed.is_ok_and(|d| (2000..2040).contains(&d.year())) {
            return Ok(());
        }
        Err(unusable(
            "save21.expirationDate",
            "write a date of the years 2000 to 2039, such as 2027-12-31 (the save commands take two digits of the year), or PERM",
        ))
    }

    fn check_groups(&self) -> Result<(), PlanError> {
        let Some(brms) = self.brms.as_ref().filter(|b| !b.control_groups.is_empty()) else {
            return Err(PlanError::Missing {
                field: "brms",
                write: "controlGroups: [ DAILY ]",
            });
        };
        let restricted = brms.restricted_groups.iter().flatten();
        let strangers: Vec<&str> = restricted
            .filter(|g| !brms.control_groups.contains(g))
            .map(String::as_str)
            .collect();
        if !strangers.is_empty() {
            let why = format!(
                "{} is not in controlGroups: each restricted group stands there too, at its place in the order",
                strangers.join(", ")
            );
            return Err(unusable("brms.restrictedGroups", &why));
        }
        Ok(())
    }
}
