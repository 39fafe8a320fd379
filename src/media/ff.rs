//! The few things of FFmpeg that both reading and making media need.

use std::ffi::{CStr, CString};
use std::path::Path;
use std::sync::Once;

use ffmpeg_next::ffi;

use crate::base::{Error, Kind, text};

static READY: Once = Once::new();

/// Readies FFmpeg, silent: what is worth telling is in its return values.
pub(super) fn init() {
    READY.call_once(|| {
        // Fills a table of error texts that later threads only read, hence once.
        let _ = ffmpeg_next::init();
        ffmpeg_next::log::set_level(ffmpeg_next::log::Level::Quiet);
    });
}

/// An error of FFmpeg on a file.
pub(super) fn error(what: &str, path: &Path, e: impl std::fmt::Display) -> Error {
    Error::new(Kind::Media, format!("cannot {what} {}: {e}", text::show(path.as_os_str())))
}

/// The bytes of a dictionary's entry. `ffmpeg-next` would hand them out as `str` unchecked.
///
/// # Safety
/// `dict` is null or a dictionary that nobody changes during the call.
pub(super) unsafe fn entry(dict: *const ffi::AVDictionary, key: &CStr) -> Option<Vec<u8>> {
    // SAFETY: the caller vouches for `dict`; `key` ends with NUL.
    let entry = unsafe { ffi::av_dict_get(dict, key.as_ptr(), std::ptr::null(), 0) };
    if entry.is_null() {
        return None;
    }
    // SAFETY: an entry that is not null has a value, ends with NUL, and lives as long as `dict`.
    let value = unsafe {
        let value = (*entry).value;
        if value.is_null() { None } else { Some(CStr::from_ptr(value)) }
    };
    value.map(|v| v.to_bytes().to_vec())
}

/// Sets an entry to bytes of any encoding; bytes from the first NUL on are left out.
///
/// # Safety
/// `dict` points to null or to a dictionary that only the caller uses.
pub(super) unsafe fn set_entry(dict: *mut *mut ffi::AVDictionary, key: &CStr, value: &[u8]) {
    let value: Vec<u8> = value.iter().copied().take_while(|&b| b != 0).collect();
    let Ok(value) = CString::new(value) else { return };
    // SAFETY: the caller vouches for `dict`; FFmpeg copies both strings.
    unsafe { ffi::av_dict_set(dict, key.as_ptr(), value.as_ptr(), 0) };
}
