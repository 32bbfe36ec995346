//! From text to a [`Config`], or to every mistake in the text.

pub mod spec;

pub use spec::Config;
