//! The scenarios by theme.

mod contexts;
mod deletions;
mod dialects;
mod drift;
mod fences;
mod formats;
mod ids;
mod kinds;
mod loops;
mod ownership;
mod pointers;
mod purges;
mod references;
mod renames;
mod values;
