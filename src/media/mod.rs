//! Media facts and samples, made by FFmpeg in a child process of the same binary.
