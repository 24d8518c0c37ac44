import ByteIO
import CKernels
import Foundation
import LeanKCommands

@main
struct Leank {
  static func main() {
    // A closed pipe or a file size limit becomes an error to report, not a death.
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    OpenFiles.allowMany()
    // Activations come and go by the megabyte: given back to the system each time, they would come
    // back as pages to be cleared, a twentieth of a prompt's time.
    leank_keep_freed_memory(32 << 20, 256 << 20)
    // A stream that the caller closed must not become the first file that is opened: words meant
    // for people would land in it. Writing to this fails, as it should. The lowest number is taken.
    for stream: CInt in 0...2 where fcntl(stream, F_GETFD) == -1 {
      _ = unsafe open("/dev/null", O_RDONLY)
    }
    exit(runLeank(Array(CommandLine.arguments.dropFirst()), on: .standard()))
  }
}
