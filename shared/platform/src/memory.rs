//! What a process asks of the system's allocator.

/// Blocks of at least this size are the system's again as soon as they are freed.
const LARGE_BYTES: i32 = 1024 * 1024;

/// Gives large blocks back to the system when they are freed; called once, as a program begins.
///
/// glibc raises its own threshold to the largest block it has seen freed, 32 MiB at most, and keeps what is smaller in
/// the arena of the thread that asked for it. The 19 MiB of a password's hash then stay once, or several times, for every
/// thread that ever compared one: hundreds of MiB after a busy minute, more than a container is given.
pub fn give_back_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: `mallopt` takes two numbers, locks what it changes, and reads no memory of ours.
        #[allow(unsafe_code)]
        let set = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BYTES) };
        if set != 1 {
            tracing::warn!("the allocator takes no threshold; large blocks may be kept");
        }
    }
}
