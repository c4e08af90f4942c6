//! The driver against small VIOSes that keep state, behind a scripted wire.

mod padmin;
mod rules;
