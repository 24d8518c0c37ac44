import Foundation
import LeanKCheckpoint
import LeanKDecoder

// decode-speed CHECKPOINT PROMPT TOKENS THREADS
//
// The dense model alone, weights in memory: PROMPT tokens in one pass, then TOKENS one by one, each
// the likeliest after the one before. Prints seconds of both as JSON.

let arguments = CommandLine.arguments
guard arguments.count == 5, let prompt = Int(arguments[2]), let count = Int(arguments[3]),
  let threads = Int(arguments[4]), prompt > 0, count > 0, threads > 0
else {
  print("usage: decode-speed CHECKPOINT PROMPT TOKENS THREADS")
  exit(2)
}

let directory = try CheckpointDirectory(path: arguments[1])
let description = try directory.describe().description
let model = DecoderModel(description, weights: CheckpointWeights(directory))
// A token of its own goes first and brings the weights into memory.
let decoder = try Decoder(
  [.dense(model)], promptLength: prompt + 1, length: prompt + 1 + count,
  options: DecodeOptions(threads: threads, residentWeights: .max))
_ = try decoder.decode([1])

let clock = ContinuousClock()
let tokens = (0..<prompt).map { Int32(($0 * 7919 + 13) % description.vocabularySize) }
let promptTime = try clock.measure { _ = try decoder.decode(tokens) }
// The first token of `greedy` is chosen already; each one after it takes a pass.
let decodeTime = try clock.measure { _ = try decoder.greedy(count: count + 1) }
print(
  #"{"prompt_seconds": \#(promptTime / .seconds(1)), "decode_seconds": \#(decodeTime / .seconds(1))}"#
)
