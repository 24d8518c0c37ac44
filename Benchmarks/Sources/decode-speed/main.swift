import Foundation
import LeanKCheckpoint
import LeanKDecoder

// decode-speed CHECKPOINT PROMPT TOKENS THREADS
//
// The dense model alone, weights in memory: PROMPT given tokens in one pass, then TOKENS one by one, after
// each of which the likeliest is sought. Prints seconds of both, and what was likeliest last, as JSON.

let arguments = CommandLine.arguments
guard arguments.count == 5, let prompt = Int(arguments[2]), let count = Int(arguments[3]),
  let threads = Int(arguments[4]), prompt > 0, count > 0, threads > 0
else {
  print("usage: decode-speed CHECKPOINT PROMPT TOKENS THREADS")
  exit(2)
}

let directory = try CheckpointDirectory(path: arguments[1])
let description = try directory.describe().description
let store = WeightStore(
  DecoderModel(description, weights: CheckpointWeights(directory)), residentLimit: .max)
let compute = ComputeContext(threads: threads)
var session = try DecodingSession(store, .cached(nil), length: prompt + 1 + count)
// A token of its own goes first and brings the weights into memory.
_ = try session.logits(try session.prefill([1], compute), compute)

let clock = ContinuousClock()
let tokens = (0..<prompt + count).map { Int32(($0 * 7919 + 13) % description.vocabularySize) }
var last = 0
let promptTime = try clock.measure {
  let hidden = try session.prefill(Array(tokens[..<prompt]), compute)
  last = try session.logits(hidden.lastRow, compute).argmax(row: 0)
}
let decodeTime = try clock.measure {
  for token in tokens[prompt...] {
    last = try session.logits(try session.step(token, compute), compute).argmax(row: 0)
  }
}
let (first, rest) = (promptTime / .seconds(1), decodeTime / .seconds(1))
print(#"{"prompt_seconds": \#(first), "decode_seconds": \#(rest), "last": \#(last)}"#)
