#include "trial_priv.h"

void random_call(struct trial *t)
{
}
