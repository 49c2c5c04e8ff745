"""The model against the record's script: logits, losses, every gradient, long sequences, hash embedding."""

import golden
import pytest
import torch

from golf.ttt.hash_embed import HashEmbedding

FORWARD = golden.load("forward")
ORDERS = [("plain", False), ("loop", True)]


def tensor(name: str) -> torch.Tensor:
    return torch.from_numpy(FORWARD[name])


@pytest.fixture(params=ORDERS, ids=lambda order: order[0])
def order(request):
    name, recurrent = request.param
    model = golden.model()
    model.recurrent = recurrent
    return name, model


def test_logits(order):
    name, model = order
    logits = model.logits(model.hidden(tensor("input_ids")))
    torch.testing.assert_close(logits, tensor(f"logits_{name}"), rtol=0, atol=2e-5)


def test_loss_and_every_gradient(order):
    name, model = order
    loss = model(tensor("input_ids"), tensor("target_ids"))
    torch.testing.assert_close(loss, tensor(f"loss_{name}"), rtol=1e-6, atol=0)
    loss.backward()
    expected = golden.gradients(f"grad_{name}")
    assert set(expected) == {key for key, _ in model.named_parameters()}
    for key, parameter in model.named_parameters():
        largest = expected[key].abs().max()
        assert (parameter.grad - expected[key]).abs().max() <= 3e-5 * largest, key


def test_sequence_longer_than_training(order):
    name, model = order
    logits = model.logits(model.hidden(tensor("long_input_ids")))
    torch.testing.assert_close(logits, tensor(f"logits_long_{name}"), rtol=0, atol=2e-5)


def test_layer_order():
    model = golden.model()
    encoder, decoder = model.orders[True]
    assert encoder == FORWARD["encoder_indices"].tolist()
    assert decoder == FORWARD["decoder_indices"].tolist()


def test_hash_embedding():
    model = golden.model()
    model.extra_embedding = HashEmbedding(golden.CONFIG["hash_size"], golden.CONFIG["embedding_dim"])
    model.extra_embedding.weight.data.copy_(tensor("hash_weight"))
    logits = model.logits(model.hidden(tensor("input_ids")))
    torch.testing.assert_close(logits, tensor("logits_hash_loop"), rtol=0, atol=2e-5)
