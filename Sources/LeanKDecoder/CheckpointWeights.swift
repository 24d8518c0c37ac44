public import ByteIO
public import LeanKCheckpoint
import TensorFiles

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
}
