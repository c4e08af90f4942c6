//! The image of another run: what proves that the copy on the array still is that run's.

use super::plan::Plan;
use crate::engine::step::Failure;
use crate::site::CopyState;
use sha2::{Digest, Sha256};

/// A copy's identity as `status.image.mark` keeps it: SHA-256, hex, so of one length however many maps the group has.
pub fn image_mark(mark: &str) -> String {
    let digest = Sha256::digest(mark);
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// Whether the array shows the very copy that the run named in the plan has taken.
pub(super) fn still_on_array(state: &CopyState, plan: &Plan) -> Result<(), Failure> {
    let Some(image) = &plan.image else {
        return Err(Failure::new(
            "JournalIncomplete",
            "status.resolved does not say whose image this is: create the run again",
        ));
    };
    if state.exists() && image_mark(&state.mark()) == image.mark {
        return Ok(());
    }
    let what = if state.exists() {
        "another copy than the one this run took"
    } else {
        "no copy"
    };
    Err(Failure::new(
        "ImageGone",
        format!(
            "consistency group {} shows {what}, so the image of run {} is gone: somebody stopped or started the group since; nothing was touched, look at it on the array",
            plan.copy_group, image.run
        ),
    ))
}
