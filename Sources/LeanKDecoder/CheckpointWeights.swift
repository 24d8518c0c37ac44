public import ByteIO
public import LeanKCheckpoint
import TensorFiles

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// The weights of a checkpoint directory, read from its shards by position.
public struct CheckpointWeights: WeightSource {
  public let directory: CheckpointDirectory

  public init(_ directory: CheckpointDirectory) { self.directory = directory }

  public func tensor(named name: String) -> WeightInfo? {
    directory.tensor(name).map { WeightInfo(scalar: $0.info.scalar, shape: $0.info.shape) }
  }

  public func read(
    _ name: String, from first: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(DecoderError) {
    guard let (file, info) = directory.tensor(name), let width = info.scalar.byteWidth else {
      throw DecoderError(.missingTensor, "the checkpoint has no tensor \(quoted(name))")
    }
    do throws(TensorFileError) {
      try unsafe file.read(info, at: first * width, into: buffer)
    } catch {
      throw DecoderError(
        .source(error.failureClass), error.detail, in: error.path ?? file.path)
    }
  }

  /// Asks the system to read the tensors while something else is computed. Only advice: failures
  /// show when the tensors are read.
  public func willRead(_ names: [String]) {
    for name in names {
      guard let (file, info) = directory.tensor(name) else { continue }
      let offset = file.header.dataStart + info.range.lowerBound
      #if canImport(Darwin)
        var advice = radvisory(ra_offset: off_t(offset), ra_count: CInt(clamping: info.range.count))
        _ = unsafe fcntl(file.file.descriptor, F_RDADVISE, &advice)
      #else
        _ = posix_fadvise(
          file.file.descriptor, off_t(offset), off_t(info.range.count), POSIX_FADV_WILLNEED)
      #endif
    }
  }
}
