import CFileSystem

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// What came of asking for an advisory lock, which lasts until the descriptor is closed.
enum FileLock {
  case acquired
  /// Another descriptor, mostly of another process, has it.
  case held
  /// This file system has no locks, so nobody can tell.
  case unavailable

  /// Asks for a lock on an open file or directory, without waiting.
  static func acquire(_ descriptor: CInt, isExclusive: Bool) -> FileLock {
    while leank_lock(descriptor, isExclusive ? 1 : 0) != 0 {
      switch errno {
      case EINTR: continue
      case EWOULDBLOCK: return .held
      default: return .unavailable
      }
    }
    return .acquired
  }
}
