import Foundation
import LeanKCommands

@main
struct Leank {
  static func main() {
    // A closed pipe or a file size limit becomes an error to report, not a death.
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    allowManyFiles()
    // A stream that the caller closed must not become the first file that is opened: words meant
    // for people would land in it. Writing to this fails, as it should. The lowest number is taken.
    for stream: CInt in 0...2 where fcntl(stream, F_GETFD) == -1 {
      _ = unsafe open("/dev/null", O_RDONLY)
    }
    exit(runLeank(Array(CommandLine.arguments.dropFirst()), on: .standard()))
  }

  /// A checkpoint of a thousand shards is a thousand open files, more than the usual soft limit.
  private static func allowManyFiles() {
    var limit = rlimit()
    #if canImport(Darwin)
      let files = RLIMIT_NOFILE
    #else
      let files = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #endif
    guard unsafe getrlimit(files, &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(files, &limit)
  }
}
