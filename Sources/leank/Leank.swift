import ByteIO
import Foundation
import LeanKCommands

@main
struct Leank {
  static func main() {
    // A closed pipe or a file size limit becomes an error to report, not a death.
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    OpenFiles.allowMany()
    // A stream that the caller closed must not become the first file that is opened: words meant
    // for people would land in it. Writing to this fails, as it should. The lowest number is taken.
    for stream: CInt in 0...2 where fcntl(stream, F_GETFD) == -1 {
      _ = unsafe open("/dev/null", O_RDONLY)
    }
    exit(runLeank(Array(CommandLine.arguments.dropFirst()), on: .standard()))
  }
}
