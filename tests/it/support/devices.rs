//! Simulated devices that take no longer than a test wants to wait.

use ibmi_clone_operator::simulators::world::file::Knobs;

/// Short times: a USER run takes two to three world minutes, a full save four.
pub fn quick() -> Knobs {
    Knobs {
        prepare_milliseconds: 2_000,
        start_copy_milliseconds: 500,
        hmc_job_milliseconds: 500,
        power_off_milliseconds: 2_000,
        activation_milliseconds: 2_000,
        ipl_milliseconds: 10_000,
        personality_milliseconds: 5_000,
        force_write_milliseconds: 500,
        suspend_milliseconds: 500,
        restricted_state_milliseconds: 5_000,
        save_system_milliseconds: 20_000,
        save_libraries_milliseconds: 30_000,
        save_documents_milliseconds: 5_000,
        save_files_milliseconds: 10_000,
        ..Knobs::default()
    }
}
